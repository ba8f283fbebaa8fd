"""PyTorch: eager with its fused Adam, and a whole step as one compiled graph."""

import chainrule as cr
from benchmarks.peers.torch_modules import module_of
from chainrule.cli.measurement.implementation import BETAS, EPS, LEARNING_RATE, Implementation


class PyTorch(Implementation):
    name = "PyTorch eager"

    @staticmethod
    def use_threads(threads):
        import torch

        torch.set_num_threads(threads)

    def start(self, parameters):
        import torch

        self.torch = torch
        self.loss = {
            cr.MSELoss: torch.nn.functional.mse_loss,
            cr.CrossEntropyLoss: torch.nn.functional.cross_entropy,
            cr.BCEWithLogitsLoss: torch.nn.functional.binary_cross_entropy_with_logits,
        }[type(self.workload.loss)]
        self.inputs, self.targets = torch.from_numpy(self.X), torch.from_numpy(self.y)
        # Images stay in the memory format "channels last", which is the faster one here: it takes
        # 0.7 of the time for "images", and the same for "lenet". Signals have no such format.
        if self.inputs.ndim > 2:
            self.inputs = self.inputs.movedim(-1, 1)
        if self.inputs.ndim == 3:
            self.inputs = self.inputs.contiguous()
        self.build(parameters)

    def build(self, parameters):
        torch = self.torch
        self.network = module_of(torch, self.workload, parameters)
        if self.inputs.ndim == 4:
            self.network = self.network.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), LEARNING_RATE, BETAS, EPS, fused=True
        )

    def train(self, seed, epochs):
        means = []
        for batches in self.orders(seed, epochs):
            # One gather an epoch, and views of it: less to call than a gather for each step.
            xs, ys = self.inputs[batches], self.targets[batches]
            losses = [self.step(x, y) for x, y in zip(xs, ys, strict=True)]
            means.append(float(self.torch.stack(losses).mean()))
        return means

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = self.loss(self.network(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def gradient(self, times):
        for _ in range(times):
            value, grads = self.value_and_gradient(self.inputs, self.targets)
        squares = sum(float(grad.square().sum()) for grad in grads)
        return [float(value), squares**0.5]

    def value_and_gradient(self, x, y):
        loss = self.loss(self.network(x), y)
        return loss.detach(), self.torch.autograd.grad(loss, list(self.network.parameters()))


class CompiledPyTorch(PyTorch):
    """Forward, backward and Adam in one graph, called from C++: the fastest of what was tried.

    Compiling forward and loss alone, with the fused Adam, takes four times as long for "tiny". Of
    other networks than perceptrons, forward and backward are compiled.
    """

    name = "torch.compile"

    def build(self, parameters):
        if not self.workload.is_perceptron:
            super().build(parameters)
            self.network = self.torch.compile(self.network, fullgraph=True, dynamic=False)
            return
        torch = self.torch
        parameters = list(map(torch.from_numpy, parameters.values()))
        activation = torch.tanh if isinstance(self.workload.activation, cr.Tanh) else torch.relu

        def loss(params, x, y):
            *hidden, (weight, bias) = zip(params[::2], params[1::2], strict=True)
            for w, b in hidden:
                x = activation(torch.addmm(b, x, w))
            return self.loss(torch.addmm(bias, x, weight), y)

        gradient = torch.func.grad_and_value(loss)

        def value_and_gradient(params, x, y):
            grads, value = gradient(params, x, y)
            return value, grads

        def step(params, ms, vs, t, x, y):
            value, grads = value_and_gradient(params, x, y)
            t += 1
            beta1, beta2 = BETAS
            a, c = LEARNING_RATE / (1 - beta1**t), 1 / (1 - beta2**t)
            for p, g, m, v in zip(params, grads, ms, vs, strict=True):
                m.mul_(beta1).add_(g, alpha=1 - beta1)
                v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
                p.sub_(a * m / ((c * v).sqrt() + EPS))
            return value

        def compiled(function):
            options = {"cpp_wrapper": True}
            return torch.compile(function, fullgraph=True, dynamic=False, options=options)

        self.params = [parameter.clone() for parameter in parameters]
        moments = [[torch.zeros_like(parameter) for parameter in parameters] for _ in range(2)]
        self.state = self.params, *moments, torch.zeros(())
        self.compiled_step, self.compiled_gradient = compiled(step), compiled(value_and_gradient)

    def step(self, x, y):
        if not self.workload.is_perceptron:
            return super().step(x, y)
        return self.compiled_step(*self.state, x, y)

    def value_and_gradient(self, x, y):
        return self.compiled_gradient(self.params, x, y)
