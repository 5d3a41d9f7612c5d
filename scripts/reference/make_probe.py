"""The sums that the self-test of GPUs (crates/chatterbox/src/device/probe.rs) is held to, computed with NumPy in f64.

    python3 scripts/reference/make_probe.py

Needs NumPy alone. The operations and their sizes are those of probe.rs, in its order.
"""

import numpy as np


def numbers(seed, *shape):
    state, out = seed * 2654435761 % 2**32, []
    for _ in range(int(np.prod(shape))):
        state = (state * 1664525 + 1013904223) % 2**32
        out.append((state >> 16) / 32768 - 1)
    return np.array(out).reshape(shape)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def conv1d(x, weight, bias, padding, dilation):
    outputs, _, kernel = weight.shape
    x = np.pad(x, ((0, 0), (padding, padding)))
    length = x.shape[1] - dilation * (kernel - 1)
    y = sum(weight[:, :, k] @ x[:, k * dilation :][:, :length] for k in range(kernel))
    return y + (0 if bias is None else bias[:, None])


def conv_transpose1d(x, weight, stride, padding):
    _, outputs, kernel = weight.shape
    length = x.shape[1]
    y = np.zeros((outputs, (length - 1) * stride + kernel))
    for t in range(length):
        y[:, t * stride : t * stride + kernel] += np.einsum("i,iok->ok", x[:, t], weight)
    return y[:, padding : y.shape[1] - padding]


def layer_norm(x, gain, bias):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * gain + bias


def product(rows, inputs, outputs):
    return numbers(1, rows, inputs) @ numbers(2, inputs, outputs)


q, k, v = (numbers(seed, 2, 3, 37, 16) for seed in (3, 4, 5))
x, y = numbers(18, 4099) * 3, numbers(19, 4099)
results = [
    product(1, 1031, 131),
    product(37, 67, 131),
    softmax(q @ k.swapaxes(2, 3) * 0.25) @ v,
    conv1d(numbers(6, 24, 101), numbers(7, 40, 24, 7) * 0.1, numbers(8, 40), 9, 3),
    conv1d(numbers(9, 104, 97), numbers(10, 208, 104, 1) * 0.1, None, 0, 1),
    conv_transpose1d(numbers(11, 16, 33), numbers(12, 16, 8, 11) * 0.2, 5, 3),
    softmax(numbers(13, 7, 1001)) * 100,
    layer_norm(numbers(14, 33, 129), numbers(15, 129), numbers(16, 129)),
    numbers(17, 97, 33)[np.arange(61) * 37 % 97],
    np.sin(x) / (1 + np.exp(-(x - y))) + np.log(np.abs(x - y) + 1) - np.exp(y) * 0.5,
]
for result in results:
    print(f"{result.ravel() @ numbers(99, result.size):.6f}")
