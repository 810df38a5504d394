// AllenNLP's own tagger on the same sentences: static vectors and a character CNN, a BiLSTM and a CRF.
//
//   DATA       directory that training_set.py wrote
//   VECTORS    static word vectors
local lib = import '../../training_configs/lib/tagger.libsonnet';
local data = std.extVar('DATA');

{
  dataset_reader: lib.reader({ tokens: { type: 'single_id' }, token_characters: lib.character_cnn_indexer }),
  train_data_path: data + '/train.conll',
  validation_data_path: data + '/dev.conll',
  model: {
    type: 'crf_tagger',
    label_encoding: 'BIOUL',
    constrain_crf_decoding: true,
    calculate_span_f1: true,
    dropout: 0.5,
    include_start_end_transitions: false,
    text_field_embedder: {
      token_embedders: {
        tokens: { type: 'embedding', embedding_dim: 50, pretrained_file: std.extVar('VECTORS'), trainable: true },
        token_characters: lib.character_cnn(),
      },
    },
    encoder: {
      type: 'lstm',
      input_size: 50 + 128,
      hidden_size: 200,
      num_layers: 2,
      dropout: 0.5,
      bidirectional: true,
    },
  },
  data_loader: lib.shuffled(32),
  trainer: lib.trainer(num_epochs=20, patience=4, lr=0.001),
}
