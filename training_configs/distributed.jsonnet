// elmo_only.jsonnet on several GPUs of one machine, one process each (on a machine without GPUs give [-1, -1]).
//
//   CUDA_DEVICES     such as [0, 1]; otherwise as in elmo_only.jsonnet
local config = import 'elmo_only.jsonnet';

config { distributed: { cuda_devices: std.parseJson(std.extVar('CUDA_DEVICES')) } }
