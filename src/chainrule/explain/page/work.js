// Why from the loss backward: the multiply-adds of three methods to compute the gradient.

function showWork(data) {
  const parameters = data.paths.filter(({ name }) => name !== "x");
  const entries = parameters.reduce((sum, { shape }) => sum + shape.reduce((size, n) => size * n, 1), 0);
  byId("why").hidden = entries === 0;
  if (!entries) return;
  const [forward, ...methods] = data.work;
  const names = ["from the loss backward", "from the input forward", "finite differences"];
  const { shares, logarithmic } = sharesOf(methods);
  byId("work").replaceChildren(
    ...methods.map((work, i) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, names[i]),
        element("td", { class: "bars" }, barOf(shares[i])),
        element("td", {}, count(work)),
      ),
    ),
  );
  byId("work-scale").textContent = logarithmic ? ", on a logarithmic scale" : "";
  byId("work-about").textContent =
    `L is one number, so what is carried back from it is one row of numbers: together with the forward pass it takes the multiply-adds of ${number(methods[0] / forward, 2)} forward passes, for all ${plural(entries, "parameter")} at once. ` +
    `From the input, a column for each parameter is carried along, and finite differences change one parameter at a time: ${count(entries + 1)} forward passes.`;
}
