// What the biLM configs share. The text is named once; what follows from it (tokens, batches, words to predict) is counted.
{
  // Held out are the last sentences of each file: 1 % of them.
  local hold_out = 0.01,
  train(files):: { files: files, part: 'train', hold_out: hold_out },
  held_out(files):: { files: files, part: 'held_out', hold_out: hold_out },

  // One tokenised sentence a line. The compact form is prepared once and kept.
  reader(prepared_dir=null):: { type: 'lm_text' } + (if prepared_dir == null then {} else { prepared_dir: prepared_dir }),

  // Written by `elmo-tagger vocab`.
  vocabulary(file):: { type: 'lm_vocabulary', vocabulary_file: file },

  // Truncated back-propagation over streams of text.
  streams(streams=128, steps=20):: { type: 'lm_stream', mode: 'streams', streams: streams, steps: steps },

  // Whole sentences in a fixed order: comparable perplexities.
  whole_sentences(words=2560):: { type: 'lm_stream', mode: 'sentences', words: words, shuffle: false },

  // options.json of a biLM with two layers of LSTM.
  options(dim, projection_dim, char_dim, filters, n_highway):: {
    lstm: {
      cell_clip: 3,
      proj_clip: 3,
      use_skip_connections: true,
      n_layers: 2,
      dim: dim,
      projection_dim: projection_dim,
    },
    char_cnn: {
      activation: 'relu',
      embedding: { dim: char_dim },
      filters: filters,
      n_highway: n_highway,
      max_characters_per_token: 50,
    },
  },

  // Checkpoints every so many batches, so that `--recover` loses little; the best by held-out perplexity is archived.
  trainer(num_epochs, optimizer, grad_norm, save_every=2000):: {
    optimizer: optimizer,
    grad_norm: grad_norm,
    num_epochs: num_epochs,
    validation_metric: '-perplexity',
    checkpointer: { save_every_num_batches: save_every, keep_most_recent_by_count: 2 },
    run_confidence_checks: false,
    callbacks: [
      { type: 'console_logger', should_log_inputs: false },
      { type: 'tensorboard', should_log_learning_rate: true },
    ],
  },
}
