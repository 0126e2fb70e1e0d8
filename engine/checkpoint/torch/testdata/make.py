"""Writes the .bin files of this folder, with PyTorch 1.13.1 (Debian's python3-torch).

The values are those that real_test.go expects.
"""
import collections

import torch

grid = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 4
tied = torch.tensor([[1.0, 2.0], [3.0, 4.0]])

kinds = collections.OrderedDict(
    f32=grid,
    f64=torch.tensor([0.1, -1e300], dtype=torch.float64),
    f16=torch.tensor([1, -2, 65504, 2**-24], dtype=torch.float16),
    bf16=torch.tensor([1, -3.140625], dtype=torch.bfloat16),
    i64=torch.tensor([-1, 2**40]),
    i32=torch.tensor([-2], dtype=torch.int32),
    i16=torch.tensor([-3], dtype=torch.int16),
    i8=torch.tensor([-4, 5], dtype=torch.int8),
    u8=torch.tensor([200], dtype=torch.uint8),
    bool=torch.tensor([True, False]),
    c64=torch.tensor([1 + 2j]),
    scalar=torch.tensor(7.5),
    empty=torch.zeros(0, 3),
    transposed=grid.t(),
    every_second=grid[1:3, ::2],
    permuted=torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1),
    tied=tied,
    tied_again=tied,
    tied_row=tied[1],
    parameter=torch.nn.Parameter(torch.tensor([9.0])),
    expanded=torch.tensor([5.0]).expand(3),
)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = torch.nn.Linear(3, 2)
        self.norm = torch.nn.LayerNorm(2)
        self.register_buffer("position_ids", torch.arange(5).expand((1, -1)))


model = Model()
with torch.no_grad():
    model.dense.weight.copy_(torch.arange(6).reshape(2, 3) / 2)
    model.dense.bias.copy_(torch.tensor([-1.0, 1.0]))
trained = {
    "epoch": 3,
    "loss": 0.25,
    "args": {"lr": [1, 2.5, None], "big": 2**70},
    "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": []},
    "state_dict": model.state_dict(),
}

for name, zipped in (("zip", True), ("legacy", False)):
    torch.save(kinds, f"kinds-{name}.bin", _use_new_zipfile_serialization=zipped)
    torch.save(kinds, f"protocol4-{name}.bin", _use_new_zipfile_serialization=zipped, pickle_protocol=4)
    torch.save(trained, f"trained-{name}.bin", _use_new_zipfile_serialization=zipped)
torch.save(model, "module.bin")
torch.save(tied, "tensor.bin")
torch.save({"a": torch.tensor([1.0]).to_sparse()}, "sparse.bin")
torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), "script.bin")
