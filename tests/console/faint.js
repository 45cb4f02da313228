() => {
  const numbers = (color) => color.match(/[\d.]+/g).map(Number);
  const linear = (share) => (share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4);
  const luminance = (color) => {
    const [red, green, blue] = color.slice(0, 3).map((value) => linear(value / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = numbers(getComputedStyle(one).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const contrast = (element) => {
    const [more, less] = [numbers(getComputedStyle(element).color), behind(element)].map(luminance).sort((a, b) => b - a);
    return (more + 0.05) / (less + 0.05);
  };
  return [...document.querySelectorAll("h1, h2, p, a, button, td, th, label, dt, dd, small, summary, .badge, .faint")]
    .filter((one) => one.offsetParent && one.textContent.trim() && !one.disabled)
    .map((one) => [contrast(one), `${one.tagName} ${one.className} ${one.textContent.slice(0, 20)}`])
    .filter(([ratio]) => ratio < 4.5);
}
