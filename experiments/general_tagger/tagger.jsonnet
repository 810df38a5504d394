// The general English tagger: the biLM of the package and static vectors, a BiLSTM and a CRF.
//
//   DATA       directory that training_set.py wrote
//   VECTORS    static word vectors
//   EPOCHS     of the training; the learning rate falls to 0 over them
//   CACHE      directory that keeps the biLM's layers from epoch to epoch
local lib = import '../../training_configs/lib/tagger.libsonnet';
local data = std.extVar('DATA');

{
  dataset_reader: lib.reader({ elmo: { type: 'elmo_hdf5', static_namespace: 'static_words', static_any_case: true, truecase: true } }),
  train_data_path: data + '/train.conll',
  validation_data_path: data + '/dev.conll',
  // every word of the vectors, not training's alone: what is tagged later holds others
  vocabulary: {
    pretrained_files: { static_words: std.extVar('VECTORS') },
    only_include_pretrained_words: true,
    min_pretrained_embeddings: { static_words: -1 },
  },
  model: lib.tagger({
    elmo: {
      type: 'elmo_hdf5',
      weight_file: 'starter',
      dropout: 0.3,
      static: { namespace: 'static_words', pretrained_file: std.extVar('VECTORS'), oov: 'mean' },
      cache: { directory: std.extVar('CACHE'), max_gib: 4 },
    },
  }, hidden_size=200, layers=1, dropout=0.4),
  data_loader: lib.shuffled(32),
  trainer: lib.trainer(num_epochs=std.parseInt(std.extVar('EPOCHS')), patience=3, lr=0.003) {
    learning_rate_scheduler: { type: 'linear_with_warmup', warmup_steps: 200 },
  },
}
