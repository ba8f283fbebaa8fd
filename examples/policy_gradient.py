"""Policy gradient
================

A network that learns to balance a pole by REINFORCE, in `gymnasium`'s CartPole.

The policy is a network whose two outputs are the logits of the actions, left and right. After some
episodes, each action that was taken becomes more likely if what followed was better than usual, and
less likely if it was worse: the gradient of ``-log p(action)`` by the logits, ``p - 1`` at the
action and ``p`` elsewhere, times an advantage of either sign (Williams, *Simple statistical
gradient-following algorithms for connectionist reinforcement learning*, Machine Learning 8, 1992).
The gradient is written by hand in NumPy, and ``net.backward`` takes it from there.

``pip install chainrule[plot] gymnasium``
"""

from time import perf_counter

import gymnasium
import numpy as np

import chainrule as cr

DISCOUNT = 0.99
EPISODES = 8  # between two updates
MOST_STEPS = 500  # of an episode, at which CartPole ends it


def play(env, net, rng):
    """Play an episode; return its observations, and the actions that were drawn."""
    observations, actions = [], []
    observation, _ = env.reset(seed=int(rng.integers(2**31)))
    ended = truncated = False
    while not (ended or truncated):
        left, right = net.predict(observation[np.newaxis])[0]
        action = int(rng.random() < 1 / (1 + np.exp(left - right)))
        observations.append(observation)
        actions.append(action)
        observation, _, ended, truncated, _ = env.step(action)
    return observations, actions


def returns_of(steps):
    """Return the discounted sum of rewards from each step on; the reward of a step is 1."""
    return (1 - DISCOUNT ** np.arange(steps, 0, -1)) / (1 - DISCOUNT)


def gradient_by_logits(logits, actions, advantages):
    """Return the gradient of the mean of ``-advantage * log p(action)``."""
    d_logits = cr.ops.softmax(logits)
    d_logits[np.arange(len(actions)), actions] -= 1
    return d_logits * (advantages / len(actions))[:, np.newaxis]


def train(updates=40, seed=0):
    """Return the network, and the length of each episode."""
    env, rng = gymnasium.make("CartPole-v1"), np.random.default_rng(seed)
    net = cr.Sequential(cr.Linear(4, 32), cr.Tanh(), cr.Linear(32, 2), seed=seed)
    optimizer, lengths = cr.Adam(lr=0.02), []
    for _ in range(updates):
        episodes = [play(env, net, rng) for _ in range(EPISODES)]
        steps = [len(actions) for _, actions in episodes]
        observations = np.array([x for xs, _ in episodes for x in xs])
        actions = np.array([a for _, taken in episodes for a in taken])
        returns = np.concatenate([returns_of(count) for count in steps])
        advantages = (returns - returns.mean()) / (returns.std() + 1e-8)
        logits = net.forward(observations)
        net.backward(gradient_by_logits(logits, actions, advantages))
        optimizer.step(net)
        lengths += steps
    return net, lengths


def plot(lengths):
    import matplotlib.pyplot as plt

    _, axes = plt.subplots()
    axes.plot(lengths, ".", alpha=0.5, label="an episode")
    means = np.reshape(lengths, (-1, EPISODES)).mean(axis=1)
    axes.plot(np.arange(len(means)) * EPISODES + EPISODES / 2, means, label="mean of an update")
    axes.axhline(MOST_STEPS, color="grey", linestyle=":")
    axes.set(xlabel="episode", ylabel="steps until the pole falls, 500 at most")
    axes.legend()
    plt.show()


def main():
    started = perf_counter()
    _, lengths = train()
    seconds = perf_counter() - started
    first, last = np.mean(lengths[:EPISODES]), np.mean(lengths[-5 * EPISODES :])
    print(f"{first:.0f} steps at first, {last:.0f} at the end, {seconds:.1f} s")
    return lengths


if __name__ == "__main__":
    plot(main())
