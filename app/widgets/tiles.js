const NS = 'http://www.w3.org/2000/svg';
const svg = (name, attributes) => { const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value); return node; };
const box = (name, text) => { const node = document.createElement('div'); node.className = name; if (text !== undefined) node.textContent = text; return node; };
const shapes = { met: ['M2 6.5 4.8 9.2 10 3.2'], 'at risk': ['M6 1.6 11 10.400H1Z', 'M6 4.800V7.400M6 8.400V9.4'],
  broken: ['M2.6 2.6 9.4 9.400M9.4 2.6 2.6 9.4'], waiting: ['M6 1.400a4.6 4.6 0 1 0 .01 0', 'M6 3.400V6L8 7'] };
const stateOf = (tile, c) => {
  const node = document.createElement('span'); node.className = 'state';
  if (!tile.state) return node;
  node.style.color = { met: c.good_text, 'at risk': c.risk_text, broken: c.broken_text }[tile.state] || c.muted;
  const mark = svg('svg', { viewBox: '0 0 12 12', 'aria-hidden': 'true' });
  for (const d of shapes[tile.state] || shapes.waiting) mark.append(svg('path', { d, fill: 'none', stroke: 'currentColor', 'stroke-width': 1.6 }));
  const word = document.createElement('span'); word.className = 'word'; word.textContent = tile.state;
  node.append(mark, word); node.title = tile.state; node.setAttribute('aria-label', tile.state);
  return node;
};
const spark = (tile, c) => {
  const root = svg('svg', { class: 'spark', viewBox: '0 0 104 36', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const series = [...(tile.today || []), ...(tile.shown || [])].filter((v) => v !== null);
  if (series.length < 2) return root;
  if (tile.limit !== null && tile.limit !== undefined) series.push(tile.limit);
  for (const bound of tile.bounds || []) series.push(bound.value);
  const low = Math.min(...series), high = Math.max(...series), span = high - low || 1;
  const y = (v) => 33 - 30 * (v - low) / span, x = (i, n) => 2 + 98 * i / (n - 1);
  const path = (values) => { let d = '', pen = 'M'; values.forEach((v, i) => { if (v === null) { pen = 'M'; return; }
    d += pen + x(i, values.length).toFixed(1) + ' ' + y(v).toFixed(1); pen = 'L'; }); return d; };
  const line = (d, stroke, more) => root.append(svg('path', { d, fill: 'none', stroke, 'vector-effect': 'non-scaling-stroke', ...more }));
  if (tile.limit !== null && tile.limit !== undefined) line('M0 ' + y(tile.limit) + 'H104', c.limit, { 'stroke-width': 1 });
  for (const bound of tile.bounds || []) for (const [from, to] of bound.spans)
    line(`M${(2 + 98 * from).toFixed(1)} ${y(bound.value).toFixed(1)}H${(2 + 98 * to).toFixed(1)}`, c.limit, { 'stroke-width': 1 });
  const values = tile.shown || tile.today;
  if (tile.today) line(path(tile.today), c.today, tile.shown ? { 'stroke-width': 1.3, 'stroke-dasharray': '3 2' } : { 'stroke-width': 1.5, 'stroke-dasharray': '3 2' });
  if (tile.shown) line(path(tile.shown), c.candidate, { 'stroke-width': 1.6 });
  const at = Math.round(tile.at * (values.length - 1));
  if (values[at] !== null && values[at] !== undefined) {
    const dot = { cx: x(at, values.length), cy: y(values[at]), r: 2.6, fill: tile.shown ? c.candidate : c.muted, stroke: c.surface };
    root.append(svg('circle', dot));
  }
  return root;
};
export default function ({ data: [data], parentElement }) {
  const root = parentElement.querySelector('.tiles'), c = data.colours;
  for (const [name, value] of [['line', c.hairline], ['surface', c.surface], ['muted', c.muted], ['text', c.text], ['good', c.good_text], ['bad', c.broken_text]])
    root.style.setProperty('--' + name, value);
  root.replaceChildren(...data.tiles.map((tile) => {
    const card = box('tile'); card.title = tile.meaning || '';
    const value = box('value', tile.value), unit = document.createElement('small'); unit.textContent = tile.unit; value.append(unit);
    const foot = box('foot ' + (tile.sense || ''), tile.change || tile.note || '');
    if (tile.sense) { const word = document.createElement('span'); word.className = 'word'; word.textContent = ' ' + tile.sense; foot.append(word); }
    card.append(box('label', tile.label), stateOf(tile, c), value, spark(tile, c), foot, box('bound', tile.bound || ''));
    return card;
  }));
}
