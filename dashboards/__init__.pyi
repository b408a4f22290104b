# What the package offers. `__init__.py` reads this file and loads a name when it is asked for.

from .figures import plot_accuracy_against_attack as plot_accuracy_against_attack
from .figures import plot_success_against_rate as plot_success_against_rate
from .model_map import plot_model_map as plot_model_map
from .region_map import plot_region_map as plot_region_map
from .report import write_report as write_report
from .trigger_gallery import plot_triggers as plot_triggers
