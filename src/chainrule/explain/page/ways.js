// The ways of one number through the units of a network to the loss, in one row of the batch. The
// derivatives along a way are multiplied, and the ways are added up: that is the number's gradient.

const MOST_WALKED = 20000;

class Ways {
  constructor(model, row, choice, entry) {
    Object.assign(this, { model, row, choice, entry, links: model.data.links });
    this.edges = model.remember(`edges ${row}`, () => this.findEdges());
    this.ends = this.lossSlopes();
    this.moves = this.followForward();
  }

  // Which links take which, with the derivative of each by the other: what other links do to it is
  // held fixed.
  findEdges() {
    return this.links.flatMap(({ inputs }, to) =>
      [...new Set(inputs)].map((from) => ({ from, to, jacobian: this.directJacobian(from, to) })),
    );
  }

  directJacobian(from, to) {
    const { size, steps, value } = this.links[to];
    const network = this.model.rowNetwork(this.row);
    const by = network.gradients[this.links[from].value];
    return Array.from({ length: size }, (_, i) => {
      by.fill(0);
      network.pullFrom(steps, value, i);
      return by.slice();
    });
  }

  // The derivative of the loss by each link's units, as far as the loss takes them directly.
  lossSlopes() {
    const { network, data } = this.model;
    const ends = new Map();
    data.outputs.forEach((link, i) => {
      const { bound, lossWeight } = network.heads[i];
      const own = rowOf(bound.d_output, this.row, network.rows).map((d) => lossWeight * d);
      ends.set(link, ends.has(link) ? ends.get(link).map((d, j) => d + own[j]) : own);
    });
    return ends;
  }

  // How the units of a link move with the number directly.
  startOf(link) {
    const { parameter } = this.choice;
    const { size, steps, value } = this.links[link];
    if (!parameter) return new Float64Array(size).fill(1, this.entry, this.entry + 1);
    const network = this.model.rowNetwork(this.row);
    return Float64Array.from({ length: size }, (_, i) => {
      network.pullFrom(steps, value, i);
      return network.parameterGradients.views[parameter][this.entry];
    });
  }

  get starts() {
    return this.choice.parameter ? this.choice.places : [this.choice.link];
  }

  // How each unit moves with the number, over all ways.
  followForward() {
    const moves = new Map(this.starts.map((link) => [link, this.startOf(link)]));
    for (const { from, to, jacobian } of this.edges) {
      if (!moves.has(from)) continue;
      const sum = moves.get(to) ?? new Float64Array(this.links[to].size);
      moves.set(to, sum.map((move, j) => jacobian[j].reduce((all, slope, i) => all + slope * moves.get(from)[i], move)));
    }
    return moves;
  }

  // What passes from one unit to another: a part of the gradient.
  passed({ from, to, jacobian }, i, j) {
    const { network } = this.model;
    const back = network.gradients[this.links[to].value][this.row * this.links[to].size + j];
    return this.moves.has(from) ? this.moves.get(from)[i] * jacobian[j][i] * back : 0;
  }

  // From a unit to the loss.
  passedToLoss(link, i) {
    return this.moves.has(link) ? this.moves.get(link)[i] * this.ends.get(link)[i] : 0;
  }

  get total() {
    let sum = 0;
    for (const [link, slopes] of this.ends) slopes.forEach((_, i) => { sum += this.passedToLoss(link, i); });
    return sum;
  }

  // All ways on which something passes, with what they contribute, the largest first; null if there
  // are too many.
  get list() {
    const node = (link, i) => (this.choice.parameter || link !== this.choice.link ? [`${this.links[link].symbol}[${i}]`] : []);
    const at = new Map(this.links.map((_, link) => [link, []]));
    for (const link of this.starts) {
      this.startOf(link).forEach((part, i) => { if (part !== 0) at.get(link).push({ i, part, nodes: node(link, i) }); });
    }
    let count = 0;
    for (const { from, to, jacobian } of this.edges) {
      for (const { i, part, nodes } of at.get(from)) {
        jacobian.forEach((line, j) => {
          if (part * line[i] !== 0) at.get(to).push({ i: j, part: part * line[i], nodes: [...nodes, ...node(to, j)] });
        });
        count += jacobian.length;
        if (count > MOST_WALKED) return null;
      }
    }
    const whole = [...this.ends].flatMap(([link, slopes]) =>
      at.get(link).map(({ i, part, nodes }) => ({ nodes, part: part * slopes[i] })),
    );
    return whole.filter(({ part }) => part !== 0).sort((a, b) => Math.abs(b.part) - Math.abs(a.part));
  }
}
