"""Evaluates the few ONNX operators of the recogniser with numpy."""
import numpy as np
import onnx
from onnx import numpy_helper


class Network:
    """Calls like a function: f32[N,1,32,W] -> f32[N,T,C]."""

    def __init__(self, path):
        graph = onnx.load(str(path)).graph
        self.weights = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.nodes = list(graph.node)
        self.input = graph.input[0].name
        self.output = graph.output[0].name

    def __call__(self, images, watch=None):
        """`watch`, when given, is called with every value's name and content."""
        values = dict(self.weights)
        values[self.input] = images
        for node in self.nodes:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            operator = getattr(self, "_" + node.op_type.lower())
            values[node.output[0]] = operator(attributes, *(values[i] for i in node.input))
        if watch is not None:
            for name in values.keys() - self.weights.keys():
                watch(name, values[name])
        return values[self.output]

    @staticmethod
    def _conv(attributes, x, weight, bias):
        top, left, bottom, right = attributes.get("pads", [0] * 4)
        sy, sx = attributes.get("strides", [1, 1])
        dy, dx = attributes.get("dilations", [1, 1])
        x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
        size = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], (dy, dx))]
        windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=(2, 3))
        windows = windows[:, :, ::sy, ::sx, ::dy, ::dx]
        if attributes.get("group", 1) > 1:  # depthwise
            y = np.einsum("nchwij,cij->nchw", windows, weight[:, 0], optimize=True)
        else:
            y = np.tensordot(windows, weight, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
        return y + bias[None, :, None, None]

    @staticmethod
    def _relu(_, x):
        return np.maximum(x, 0)

    @staticmethod
    def _add(_, a, b):
        return a + b

    @staticmethod
    def _maxpool(attributes, x):
        k = attributes["kernel_shape"][0]
        n, c, h, w = x.shape
        return x[..., :h // k * k, :w // k * k].reshape(n, c, h // k, k, w // k, k).max((3, 5))

    @staticmethod
    def _squeeze(_, x, axes):
        return np.squeeze(x, tuple(axes))

    @staticmethod
    def _transpose(attributes, x):
        return x.transpose(attributes["perm"])

    @staticmethod
    def _reshape(_, x, shape):
        return x.reshape([x.shape[i] if s == 0 else s for i, s in enumerate(shape)])

    @staticmethod
    def _quantizelinear(_, x, scale, zero):
        low, high = np.iinfo(zero.dtype).min, np.iinfo(zero.dtype).max
        return np.clip(np.rint(x / scale) + zero, low, high).astype(zero.dtype)

    @staticmethod
    def _dequantizelinear(attributes, x, scale, zero=None):
        if scale.ndim:
            shape = [-1 if i == attributes.get("axis", 1) else 1 for i in range(x.ndim)]
            scale = scale.reshape(shape)
            zero = None if zero is None else zero.reshape(shape)
        return (x.astype(np.float32) - (0 if zero is None else zero.astype(np.float32))) * scale
