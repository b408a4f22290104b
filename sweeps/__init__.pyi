# The public names of the package, for type checkers and for the lazy door in `__init__.py`.
from .driver.run import extend_sweep as extend_sweep
from .driver.run import resume_sweep as resume_sweep
from .driver.run import run_sweep as run_sweep
from .ledger.load import load_results as load_results
from .records.region_file import RegionFile as RegionFile
from .records.region_schema import region_schema as region_schema
from .runners.recorded_grid import CsvColumns as CsvColumns
from .runners.recorded_grid import RecordedGrid as RecordedGrid
from .runners.replay import ReplayRunner as ReplayRunner
from .scheduling.loop import SweepOutcome as SweepOutcome
from .search.levelset_sampler import LevelSetSampler as LevelSetSampler
from .search.study_region import StudyRegion as StudyRegion
from .spec.load import load_spec as load_spec
from .spec.model import SweepSpec as SweepSpec
from .storage.paths import read_region as read_region
