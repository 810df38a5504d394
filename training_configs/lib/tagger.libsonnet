// What the tagger configs share. Every number that follows from another one is computed here or in the model: the
// encoder's input_size is left out on purpose, elmo_bilstm_crf takes it from the embedder.
{
  // Sentences from column files, with the tags in one scheme.
  reader(token_indexers, coding_scheme='BIOUL'):: {
    type: 'conll_columns',
    coding_scheme: coding_scheme,
    token_indexers: token_indexers,
  },

  // Batches of sentences of like length, in another order every epoch.
  shuffled(batch_size):: {
    type: 'pinned',
    batch_sampler: { type: 'bucket', batch_size: batch_size, sorting_keys: ['tokens'] },
  },

  // Characters of a word -> convolution -> the best of each filter.
  character_cnn_indexer:: { type: 'characters', min_padding_length: 3, token_min_padding_length: 1 },
  character_cnn(dim=16, filters=128, width=3):: {
    type: 'character_encoding',
    embedding: { embedding_dim: dim, vocab_namespace: 'token_characters' },
    encoder: {
      type: 'cnn',
      embedding_dim: dim,
      num_filters: filters,
      ngram_filter_sizes: [width],
      conv_layer_activation: 'relu',
    },
  },

  // embedder -> dropout -> BiLSTM -> CRF.
  tagger(token_embedders, hidden_size=200, layers=2, dropout=0.5, coding_scheme='BIOUL'):: {
    type: 'elmo_bilstm_crf',
    label_encoding: coding_scheme,
    dropout: dropout,
    text_field_embedder: { token_embedders: token_embedders },
    encoder: {
      type: 'lstm',
      hidden_size: hidden_size,
      num_layers: layers,
      dropout: if layers > 1 then dropout else 0.0,
      bidirectional: true,
    },
  },

  // Early stopping on the development set's strict F1; progress in TensorBoard (runs/.../log).
  trainer(num_epochs, patience, lr=0.001, grad_norm=5.0):: {
    optimizer: { type: 'adam', lr: lr },
    grad_norm: grad_norm,
    num_epochs: num_epochs,
    patience: patience,
    validation_metric: '+f1-measure-overall',
    callbacks: [
      { type: 'console_logger', should_log_inputs: false },
      { type: 'tensorboard', should_log_learning_rate: true },
    ],
  },

  // The ELMo paper's L2 penalty on the mix is 0.1 beside a loss summed over a batch; ours is its mean.
  mix_regularizer(batch_size, summed_alpha=0.1):: {
    regexes: [['scalar_mix_0.scalar_parameters', { type: 'l2', alpha: summed_alpha / batch_size }]],
  },
}
