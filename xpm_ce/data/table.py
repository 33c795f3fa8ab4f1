"""The collections by name: a collection is one file and one row.

This module does not import a collection before it is asked for.
"""

import pkgutil

from xpm_ce.data.collection import Collection

COLLECTIONS = {
    "datamaestro": "xpm_ce.data.datamaestro_source.Datamaestro",
    "folder": "xpm_ce.data.folder.Folder",
    "generated": "xpm_ce.data.generated.Generated",
    "ir_datasets": "xpm_ce.data.ir_datasets_source.IrDatasets",
}
"""NAME of each collection and where its class is"""


def collection_class(name: str) -> type[Collection]:
    """The class of a collection of `COLLECTIONS`; KeyError for another name."""
    return pkgutil.resolve_name(COLLECTIONS[name])
