// One tagger over what a word is known by. Everything above the embedder is the same for all systems.
//
//   SYSTEM          words, static, elmo or elmo_static
//   DATA            directory with train.conll, dev.conll and test.conll
//   BATCH           sentences of a batch
//   VECTORS         static word vectors
//   ELMO            directory of the biLM, with options.json and weights.hdf5
//   LAYERS          of the biLM: mix, average, top, concat or a number
//   CACHE           directory that keeps the biLM's layers from run to run
local lib = import '../../training_configs/lib/tagger.libsonnet';
local dim = 50;

local elmo(static=false) = {
  type: 'elmo_hdf5',
  options_file: std.extVar('ELMO') + '/options.json',
  weight_file: std.extVar('ELMO') + '/weights.hdf5',
  layers: local given = std.extVar('LAYERS'); if std.member('012', given) then std.parseInt(given) else given,
  dropout: 0.5,
  cache: { directory: std.extVar('CACHE'), max_gib: 10 },
  // as AllenNLP's `embedding` treats words that the vectors lack, so that (b) and (d) know the same words
  [if static then 'static']: {
    namespace: 'tokens',
    pretrained_file: std.extVar('VECTORS'),
    trainable: true,
    lowercase_fallback: false,
    oov: 'random',
  },
};
local embedding = { type: 'embedding', embedding_dim: dim, trainable: true };
local characters = { characters: lib.character_cnn() };

local systems = {
  // words learnt from scratch: one that training does not have keeps the random vector it began with
  words: {
    indexers: { tokens: { type: 'single_id' }, characters: lib.character_cnn_indexer },
    embedders: { tokens: embedding } + characters,
  },
  static: {
    indexers: { tokens: { type: 'single_id' }, characters: lib.character_cnn_indexer },
    embedders: { tokens: embedding { pretrained_file: std.extVar('VECTORS') } } + characters,
  },
  elmo: {
    indexers: { elmo: { type: 'elmo_hdf5' } },
    embedders: { elmo: elmo() },
  },
  elmo_static: {
    indexers: { elmo: { type: 'elmo_hdf5', static_namespace: 'tokens' } },
    embedders: { elmo: elmo(static=true) },
  },
};
local system = systems[std.extVar('SYSTEM')];

{
  dataset_reader: lib.reader(system.indexers),
  train_data_path: std.extVar('DATA') + '/train.conll',
  validation_data_path: std.extVar('DATA') + '/dev.conll',
  test_data_path: std.extVar('DATA') + '/test.conll',
  evaluate_on_test: true,
  model: lib.tagger(system.embedders, hidden_size=128, layers=1),
  data_loader: lib.shuffled(std.parseInt(std.extVar('BATCH'))),
  trainer: lib.trainer(num_epochs=40, patience=8, lr=0.004) {
    callbacks: [],
    checkpointer: { keep_most_recent_by_count: 1 },
  },
}
