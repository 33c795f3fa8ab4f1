"""stub"""
import dataclasses
class Cost: ...
@dataclasses.dataclass
class Costs:
    def as_json(self): return None
