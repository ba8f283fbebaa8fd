"""chainrule, as its users call it."""

import chainrule as cr
from benchmarks.peers.peer import BETAS, EPS, LEARNING_RATE, Peer


class Chainrule(Peer):
    name = "chainrule"

    def start(self, parameters):
        self.network = self.workload.network()
        self.optimizer = cr.Adam(LEARNING_RATE, BETAS, EPS)

    def train(self, seed, epochs):
        history = cr.fit(
            self.network,
            self.X,
            self.y,
            loss=self.workload.loss,
            optimizer=self.optimizer,
            epochs=epochs,
            batch_size=self.workload.batch,
            seed=seed,
            progress=False,
        )
        return history.loss
