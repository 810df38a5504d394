"""Vectors as files: sentences in, one array a sentence out, at any scale.

In the order of the data: `sentences` -> `windows` -> `compute` -> one of the `formats` (`hdf5_output`, `npy_output`,
`json_output`) over a `partial_file`. `job` puts them together, `ray_job` does the same on many machines. `neighbours`
looks at what comes out.
"""
