"""Mends, in AllenNLP 2.10.1, what current versions of torch broke, and what its users ran into. Importing applies all.

What has to happen before AllenNLP is imported is in `elmo_tagger.startup`.
"""

from elmo_tagger.plugin.compat.archives import extract_archives_safely
from elmo_tagger.plugin.compat.distributed import evaluate_on_every_process, validate_every_sentence
from elmo_tagger.plugin.compat.recovery import (
    allow_scheduler_states,
    keep_random_states_in_checkpoints,
    skip_torn_checkpoints,
    write_best_weights_whole,
)
from elmo_tagger.plugin.compat.schedulers import replace_reduce_on_plateau
from elmo_tagger.plugin.compat.shuffling import shuffle_by_default
from elmo_tagger.plugin.compat.trainer_keys import refuse_unknown_trainer_keys

allow_scheduler_states()
evaluate_on_every_process()
extract_archives_safely()
keep_random_states_in_checkpoints()
refuse_unknown_trainer_keys()
replace_reduce_on_plateau()
shuffle_by_default()
skip_torn_checkpoints()
validate_every_sentence()
write_best_weights_whole()
