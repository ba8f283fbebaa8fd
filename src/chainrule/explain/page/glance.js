// The chain at a glance: how much of the gradient reaches each link, and which units let none through.

// Each size's share of the largest one; on a logarithmic scale, from below the smallest one on, where
// they differ by more than a hundred.
function sharesOf(sizes) {
  const known = sizes.filter((size) => size > 0 && Number.isFinite(size));
  const [smallest, largest] = [Math.min(...known), Math.max(...known)];
  const logarithmic = largest > 100 * smallest;
  const low = Math.floor(Math.log10(smallest)) - 1;
  const share = (size) => {
    if (!Number.isFinite(size)) return 1;
    if (!(size > 0)) return 0;
    return logarithmic ? (Math.log10(size) - low) / (Math.log10(largest) - low) : size / largest;
  };
  return { logarithmic, shares: sizes.map(share) };
}

function updateGlance(data) {
  const { logarithmic, shares } = sharesOf(data.links.map((link) => link.gradient));
  byId("glance").replaceChildren(...data.links.map((link, i) => glanceRow(link, shares[i])).reverse());
  byId("glance-scale").textContent = logarithmic ? ", on a logarithmic scale" : "";
  byId("glance-now").textContent = data.chain && data.network ? flowNow(data.links.slice(1)) : "";
}

// The limits of the diagnosis: of the gradient's length at some link, relative to that at the output.
const FLOWS = [
  { kind: "vanishes", limit: 1e-4, extreme: Math.min, beyond: (a, b) => a < b },
  { kind: "explodes", limit: 1e3, extreme: Math.max, beyond: (a, b) => a > b },
];

// Where along a chain the gradient vanishes or explodes, as the network is now. It begins where a link
// multiplies by more than its share of the limit.
function flowNow(links) {
  const norms = links.map((link) => link.gradient);
  const last = norms.length - 1;
  for (const { kind, limit, extreme, beyond } of FLOWS) {
    const end = norms.indexOf(extreme(...norms));
    const whole = norms[end] / norms[last];
    if (!beyond(whole, limit)) continue;
    const share = limit ** (1 / (last - end));
    const factors = norms.map((norm, i) => norms[i - 1] / norm);
    const begin = factors.findLastIndex((factor, i) => i > end && beyond(factor, share));
    return `Now: the gradient ${kind} from ${links[begin].symbol} on, which multiplies its length by ${number(factors[begin], 2)}; back to ${links[end].symbol} it becomes ${number(whole, 2)} of what it was at ${links[last].symbol}.`;
  }
  return "";
}

function barOf(share) {
  const bar = element("span", { class: "bar" });
  bar.style.width = `${(100 * share).toFixed(1)}%`;
  return bar;
}

function glanceRow(link, share) {
  return element(
    "tr",
    {},
    element("th", { scope: "row", class: "symbol" }, link.symbol),
    element("td", { class: "bars" }, barOf(share)),
    element("td", {}, number(link.gradient)),
    element("td", { class: "marks" }, ...marksOf(link)),
  );
}

const percent = (fraction) => `${Math.round(100 * fraction)} %`;

function marksOf({ dead, saturated }) {
  const marks = [];
  if (dead) marks.push(element("span", { class: "mark" }, `${percent(dead)} dead`));
  if (saturated) marks.push(element("span", { class: "mark" }, `${percent(saturated)} saturated`));
  return marks;
}

// The diagnosis is of the network as it came.
function showDiagnosis(data) {
  const came = data.network ? "As the network came: " : "";
  byId("diagnosis").replaceChildren(...data.diagnosis.map((text) => element("p", {}, came + text)));
}
