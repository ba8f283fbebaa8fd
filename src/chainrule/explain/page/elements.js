// Making elements, and writing numbers and derivatives.

const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);

function fill(parent, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) parent.setAttribute(name, "");
    else if (value !== false && value !== null) parent.setAttribute(name, value);
  }
  parent.append(...children);
  return parent;
}

const element = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

const drawn = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

// A number to a few digits; a dash for null; the text of a number that is not finite.
function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  const size = Math.abs(value);
  const plain = size === 0 || (size >= 1e-4 && size < 1e6);
  const short = Number(value.toPrecision(digits));
  const text = plain ? String(short) : short.toExponential().replace("e+", "e");
  return text.replaceAll("-", "−");
}

const signed = (value) => (value > 0 ? "+" : "") + number(value);

const product = (shape) => shape.reduce((size, n) => size * n, 1);

const count = (value) => value.toLocaleString("en");

const sizes = (shape) => shape.map(count).join(" × ") || "1";

const sizesInEachRow = (shape, rows) => sizes(shape) + (rows === 1 ? "" : " in each row");

const plural = (n, one) => `${count(n)} ${one}${n === 1 ? "" : "s"}`;

const derivative = (of, by) => `∂${of}/∂${by}`;

// A fraction with a bar. Which of its terms cancel is the classes' matter.
function fraction(of, by) {
  return element(
    "span",
    { class: "fraction", role: "img", "aria-label": derivative(of, by) },
    element("span", { class: "numerator" }, `∂${of}`),
    element("span", { class: "denominator" }, `∂${by}`),
  );
}

// A text that may be broken within names such as CrossEntropyLoss.
const breakable = (text) =>
  text.split(/(?<=[a-z])(?=[A-Z])/).flatMap((part, i) => (i ? [element("wbr"), part] : [part]));

const sign = (text) => element("span", { class: "sign" }, text);

const colourNamed = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
