"""Vectors as files: sentences in, one array a sentence out, at any scale.

In the order of the data: `sentences` -> `windows` -> `compute` -> `shards` -> `join`. `job` puts them together,
`ray_job` does the same on many machines, `destination` is what a user names. `neighbours`
(places of one word), `word_neighbours` (other words) and `search` (sentences) look for the `nearest`, where
there are millions among those that `approximate` names; `picture` draws.
"""
