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
