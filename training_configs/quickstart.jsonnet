// A tagger in under two minutes on two CPU cores: the project's own sentences, the biLM of the package, tiny static vectors.
local lib = import 'lib/tagger.libsonnet';

{
  dataset_reader: lib.reader({ elmo: { type: 'elmo_hdf5', static_namespace: 'static_words' } }),
  train_data_path: 'fixtures/quickstart/train.conll',
  validation_data_path: 'fixtures/quickstart/dev.conll',
  test_data_path: 'fixtures/quickstart/test.conll',
  evaluate_on_test: true,
  model: lib.tagger({
    elmo: {
      type: 'elmo_hdf5',
      weight_file: 'starter',
      dropout: 0.2,
      static: { namespace: 'static_words', pretrained_file: 'fixtures/vectors/quickstart.16d.txt.gz', oov: 'mean' },
    },
  }, hidden_size=64, layers=1, dropout=0.3),
  data_loader: lib.shuffled(16),
  trainer: lib.trainer(num_epochs=10, patience=4, lr=0.005),
}
