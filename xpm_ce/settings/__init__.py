"""The YAML mechanism: merged files with lines, overrides, and typed configurations with errors worth reading.

The fields come from the configuration classes; this package does not know any of them.
"""

from xpm_ce.settings.document import Document, load, parsed_override
from xpm_ce.settings.names import Classes, Tables
from xpm_ce.settings.nodes import Node
from xpm_ce.settings.problems import ConfigurationErrors, Problems, check_keys
from xpm_ce.settings.schema import Field, fields
from xpm_ce.settings.typed import typed, validate

__all__ = [
    "Classes",
    "ConfigurationErrors",
    "Document",
    "Field",
    "Node",
    "Problems",
    "Tables",
    "check_keys",
    "fields",
    "load",
    "parsed_override",
    "typed",
    "validate",
]
