"""The published encoders, each written once for the module that reads it."""

import shutil

import pytest
from republished import republish

from xpm_ce.scorers.published import PUBLISHED


@pytest.fixture(scope="module", params=[name for name, row in PUBLISHED.items() if row.new_head])
def published(request, tmp_path_factory):
    """One of the nine encoders whose head is new, as its repository and as the scorer that its short name gives."""
    cache = tmp_path_factory.mktemp("hub")
    yield republish(request.param, cache)
    shutil.rmtree(cache)
