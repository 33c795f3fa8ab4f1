"""InfoNCE that waits where a test asks for it, so that a tiny learner can be met at work."""

import os
import time

from xpm_ce.losses.infonce import InfoNCE


class Slow(InfoNCE):
    """InfoNCE, after as many seconds as XPM_CE_TEST_PAUSE says."""

    __xpmid__ = "test.slow"
    NAME = "slow"
    LABEL = "Slow"

    def __call__(self, scores, supervision, mask):
        time.sleep(float(os.environ.get("XPM_CE_TEST_PAUSE", "0")))
        return super().__call__(scores, supervision, mask)
