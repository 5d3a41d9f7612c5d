#!/usr/bin/env python3
"""How long does ONNX Runtime take for a decode step of Nano's T3? Random weights, 8-bit integers (dynamic) and f32. Prints JSON.

    pip install torch onnx onnxruntime
    bench_onnx.py [--threads 2] [--context 400] [--steps 50]

The graph is what an export of the reference's GPT-2 comes to: one embedding and the keys and values so far in, logits and the
longer keys and values out. A step's outputs are bound as the next one's inputs, so nothing is copied outside of the runtime.
"""
import argparse
import json
import os
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn

LAYERS, HEADS, WIDTH, VOCABULARY = 12, 12, 768, 6563
HEAD = WIDTH // HEADS


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x, keys, values):
        """x [1, 1, width], keys and values [1, heads, context, head]"""
        q, k, v = (y.view(1, 1, HEADS, HEAD).transpose(1, 2) for y in self.qkv(self.ln_1(x)).split(WIDTH, 2))
        keys, values = torch.cat([keys, k], 2), torch.cat([values, v], 2)
        weights = (q @ keys.transpose(2, 3) / HEAD**0.5).softmax(-1)
        x = x + self.out((weights @ values).transpose(1, 2).reshape(1, 1, WIDTH))
        return x + self.down(nn.functional.gelu(self.up(self.ln_2(x)), approximate="tanh")), keys, values


class T3(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY)

    def forward(self, x, *past):
        kept = []
        for block, keys, values in zip(self.blocks, past[0::2], past[1::2]):
            x, keys, values = block(x, keys, values)
            kept += [keys, values]
        return self.head(self.norm(x)), *kept


PAST = [f"{kind}{layer}" for layer in range(LAYERS) for kind in ("keys", "values")]


def export(path):
    past = [torch.zeros(1, HEADS, 8, HEAD) for _ in PAST]
    names = [f"{name}_after" for name in PAST]
    torch.onnx.export(
        T3().eval(), (torch.zeros(1, 1, WIDTH), *past), path, input_names=["x", *PAST], output_names=["logits", *names],
        dynamic_axes={name: {2: "context"} for name in [*PAST, *names]}, opset_version=17, dynamo=False,
    )


def steps(path, threads, context, count):
    """Milliseconds of each step; the context grows by one with each, as in decoding."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    noise = np.random.default_rng(0)
    x = ort.OrtValue.ortvalue_from_numpy(noise.standard_normal((1, 1, WIDTH)).astype(np.float32))
    shape = (1, HEADS, context, HEAD)
    past = [ort.OrtValue.ortvalue_from_numpy(noise.standard_normal(shape).astype(np.float32)) for _ in PAST]
    times = []
    for _ in range(count):
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", x)
        for name, value in zip(PAST, past):
            binding.bind_ortvalue_input(name, value)
        for output in session.get_outputs():
            binding.bind_output(output.name)
        begun = time.perf_counter()
        session.run_with_iobinding(binding)
        times.append((time.perf_counter() - begun) * 1000)
        past = binding.get_outputs()[1:]
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--context", type=int, default=400)
    parser.add_argument("--steps", type=int, default=50)
    a = parser.parse_args()
    figures = {"onnxruntime": ort.__version__, "onnx": onnx.__version__, "threads": a.threads, "context": a.context}
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        plain, small = os.path.join(folder, "f32.onnx"), os.path.join(folder, "int8.onnx")
        export(plain)
        quantize_dynamic(plain, small, weight_type=QuantType.QInt8)
        for name, path in (("f32", plain), ("int8", small)):
            times = steps(path, a.threads, a.context, a.steps)
            figures[f"{name}_best_ms"], figures[f"{name}_median_ms"] = round(min(times), 2), round(float(np.median(times)), 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
