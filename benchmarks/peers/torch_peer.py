"""PyTorch, eager, with its fused Adam."""

from benchmarks.peers.peer import BETAS, EPS, LEARNING_RATE, Peer
from chainrule import Tanh


class PyTorch(Peer):
    name = "PyTorch eager"

    def start(self, parameters):
        import torch

        self.torch = torch
        layers = []
        for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
            linear = torch.nn.Linear(*weight.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(weight.T))
                linear.bias.copy_(torch.from_numpy(bias))
            is_tanh = isinstance(self.workload.activation, Tanh)
            layers += [linear, torch.nn.Tanh() if is_tanh else torch.nn.ReLU()]
        self.network = torch.nn.Sequential(*layers[:-1])
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), LEARNING_RATE, BETAS, EPS, fused=True
        )
        labels = self.workload.loss.takes_labels
        self.loss = torch.nn.CrossEntropyLoss() if labels else torch.nn.MSELoss()
        self.inputs, self.targets = torch.from_numpy(self.X), torch.from_numpy(self.y)

    def train(self, seed, epochs):
        means = []
        for batches in self.orders(seed, epochs):
            losses = []
            for rows in self.torch.from_numpy(batches):
                self.optimizer.zero_grad()
                loss = self.loss(self.network(self.inputs[rows]), self.targets[rows])
                loss.backward()
                self.optimizer.step()
                losses.append(loss.detach())
            means.append(float(self.torch.stack(losses).mean()))
        return means
