"""Mends, in AllenNLP 2.10.1, what current versions of torch broke, and what its users ran into. Importing applies all.

What has to happen before AllenNLP is imported is in `elmo_tagger.startup`.
"""

from elmo_tagger.plugin.compat.archives import open_archives_as_data
from elmo_tagger.plugin.compat.class_names import refuse_names_of_archives
from elmo_tagger.plugin.compat.config_errors import (
    explain_jsonnet_errors,
    explain_overrides,
    name_unknown_keys,
    name_unknown_types,
)
from elmo_tagger.plugin.compat.distributed import evaluate_on_every_process, validate_every_sentence
from elmo_tagger.plugin.compat.extras import leave_out_what_is_not_installed
from elmo_tagger.plugin.compat.recovery import (
    allow_scheduler_states,
    keep_random_states_in_checkpoints,
    skip_damaged_checkpoints,
    write_archives_whole,
    write_best_weights_whole,
)
from elmo_tagger.plugin.compat.schedulers import replace_reduce_on_plateau
from elmo_tagger.plugin.compat.shuffling import shuffle_by_default
from elmo_tagger.plugin.compat.starting import check_validation_metric, look_before_training

allow_scheduler_states()
check_validation_metric()
evaluate_on_every_process()
explain_jsonnet_errors()
explain_overrides()
keep_random_states_in_checkpoints()
leave_out_what_is_not_installed()
look_before_training()
name_unknown_keys()
name_unknown_types()
open_archives_as_data()
refuse_names_of_archives()
replace_reduce_on_plateau()
shuffle_by_default()
skip_damaged_checkpoints()
validate_every_sentence()
write_archives_whole()
write_best_weights_whole()
