// What the classifier configs share. Every width follows from the biLM's options: elmo_classifier finds it.
{
  // A text and its label a row: CSV, TSV or JSON lines.
  reader():: { type: 'text_csv', token_indexers: { elmo: { type: 'elmo_hdf5' } } },

  shuffled(batch_size):: {
    type: 'pinned',
    batch_sampler: { type: 'bucket', batch_size: batch_size, sorting_keys: ['tokens'] },
  },

  embedder(options_file, weight_file, dropout):: {
    token_embedders: {
      elmo: { type: 'elmo_hdf5', options_file: options_file, weight_file: weight_file, dropout: dropout },
    },
  },

  // One vector a text -> dense relu -> labels. Without a seq2vec_encoder that vector is the mean over the words.
  classifier(embedder, seq2vec_encoder=null, hidden_dim=256, dropout=0.2):: {
    type: 'elmo_classifier',
    text_field_embedder: embedder,
    [if seq2vec_encoder != null then 'seq2vec_encoder']: seq2vec_encoder,
    feedforward: { num_layers: 1, hidden_dims: hidden_dim, activations: 'relu', dropout: dropout },
  },

  // Both directions' last states, side by side.
  bilstm(hidden_size):: { type: 'lstm', hidden_size: hidden_size, bidirectional: true },

  l2(alpha=0.001):: { regexes: [['_feedforward.*weight', { type: 'l2', alpha: alpha }]] },

  // Curves in TensorBoard (runs/.../log), where the mix is among the parameters' means, and for `elmo-tagger plot`.
  trainer(num_epochs, patience, lr=0.001):: {
    optimizer: { type: 'adam', lr: lr },
    grad_norm: 5.0,
    num_epochs: num_epochs,
    patience: patience,
    validation_metric: '+accuracy',
    callbacks: [
      { type: 'console_logger', should_log_inputs: false },
      { type: 'tensorboard', should_log_learning_rate: true },
    ],
  },
}
