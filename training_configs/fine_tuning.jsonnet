// elmo_only.jsonnet, but training changes the biLM too, a hundred times more slowly than the layers above it.
//
//   as in elmo_only.jsonnet
local lib = import 'lib/tagger.libsonnet';
local config = import 'elmo_only.jsonnet';
local lr = 0.001;

config {
  model+: { text_field_embedder+: { token_embedders+: { elmo+: { requires_grad: true } } } },
  trainer+: {
    optimizer: {
      type: 'adam',
      lr: lr,
      parameter_groups: [[['\\.bilm\\.'], { lr: lr / 100 }]],
    },
    learning_rate_scheduler: { type: 'reduce_on_plateau', mode: 'max', patience: 3, factor: 0.5 },
  },
}
