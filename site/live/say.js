// Python's str.format, for the few kinds of numbers that a widget says: {name}, {name:.2f}, {name:.0%}, {name:,}.

export function say(template, values) {
  return template.replace(/\{(\w+)(?::(,)?(?:\.(\d)([f%]))?)?\}/g, (_, name, comma, digits = 0, kind) => {
    const value = values[name];
    if (!comma && !kind) return String(value);
    const style = kind === "%" ? "percent" : "decimal";
    const length = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    const format = new Intl.NumberFormat("en", { style, ...length, useGrouping: Boolean(comma), roundingMode: "halfEven" });
    return format.format(value);
  });
}

// As PyTorch and Python round: halves to even.
export function round(number) {
  const whole = Math.round(number);
  return number % 1 === 0.5 && whole % 2 ? whole - 1 : whole;
}
