for (const svg of document.querySelectorAll('svg[data-figure]')) {
  const data = JSON.parse(svg.dataset.figure), out = svg.parentElement.querySelector('.readout');
  const line = document.createElementNS(svg.namespaceURI, 'line');
  const box = svg.viewBox.baseVal;
  for (const [name, value] of [['y1', 16], ['y2', box.height - 22], ['stroke', '{{ t.text }}'], ['stroke-width', 1.2], ['visibility', 'hidden']])
    line.setAttribute(name, value);
  svg.append(line);
  const rows = svg.parentElement.querySelectorAll('tbody tr');
  const read = (event) => {
    const place = svg.getBoundingClientRect();
    const at = ((event.clientX - place.left) / place.width - data.left) / (data.right - data.left);
    const first = data.curves[0];
    let best = 0;
    first.x.forEach((x, i) => { if (Math.abs(x - at) < Math.abs(first.x[best] - at)) best = i; });
    const x = box.width * (data.left + first.x[best] * (data.right - data.left));
    line.setAttribute('x1', x); line.setAttribute('x2', x); line.setAttribute('visibility', 'visible');
    const words = data.curves.map((curve) => { const i = curve.x.indexOf(first.x[best]); return i < 0 || curve.y[i] === null ? '' : curve.role + ' ' + curve.y[i] + '\u00a0' + data.unit; });
    const when = rows[best] ? rows[best].cells[0].textContent + ': ' : '';
    out.textContent = when + words.filter(Boolean).join(', ');
  };
  svg.addEventListener('pointermove', read);
  svg.addEventListener('pointerdown', read);
  svg.addEventListener('pointerleave', () => { line.setAttribute('visibility', 'hidden'); out.textContent = ''; });
}
