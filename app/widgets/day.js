const NS = 'http://www.w3.org/2000/svg';
const memory = new WeakMap();
const node = (name, attributes, text) => {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
};
// The words of the cursor have a line of their own above the words of a limit.
const LEFT = 64, RIGHT = 12, TOP = 30, PLOT = 110, LANE = 20;
const two = (n) => String(n).padStart(2, '0');

export default function ({ data: [data], parentElement, setStateValue }) {
  const svg = parentElement.querySelector('svg'), c = data.colours;
  const known = memory.get(parentElement) || {};
  memory.set(parentElement, known);
  if (known.from !== data.t_s) { known.from = data.t_s; if (!known.moving) known.t = data.t_s; }
  const height = TOP + PLOT + 10 + LANE * data.lanes.length + 24;
  const clock = (t) => { const m = Math.round((data.start_s + t) / 60); return two(Math.floor(m / 60) % 24) + ':' + two(m % 60); };
  const number = (v) => (v === null || v === undefined ? '–' : v.toFixed(data.digits).replace('-', '\u2212') + data.unit);
  const at = (values, t) => { const i = Math.ceil((t - data.begin_s) / data.step_s) - 1; return values[Math.min(Math.max(i, 0), values.length - 1)]; };
  const known_values = [...(data.today || []), ...(data.candidate || [])].filter((v) => v !== null);
  const draw = () => {
    const width = Math.max(260, svg.getBoundingClientRect().width || 700);
    svg.setAttribute('height', height); svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const x = (t) => LEFT + (width - LEFT - RIGHT) * (t - data.begin_s) / (data.end_s - data.begin_s || 1);
    const bounds = data.bounds || [], levels = bounds.map((bound) => bound.value);
    let low = Math.min(...known_values, ...levels), high = Math.max(...known_values, ...levels, data.limit ?? -Infinity);
    if (!known_values.length) { low = 0; high = 1; }
    const pad = (high - low || 1) * 0.08; low -= pad; high += pad * 0.5;
    const y = (v) => TOP + PLOT * (high - v) / (high - low);
    const parts = [];
    const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
    const tick = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough);
    for (let v = Math.ceil(low / tick) * tick; v <= high; v += tick) {
      parts.push(node('line', { x1: LEFT, x2: width - RIGHT, y1: y(v), y2: y(v), stroke: c.grid }));
      parts.push(node('text', { x: LEFT - 8, y: y(v) + 4, 'text-anchor': 'end', fill: c.muted }, (+v.toPrecision(6)) + data.unit));
    }
    const hours = (data.end_s - data.begin_s) / 3600, every = [0.25, 0.5, 1, 2, 3, 6, 12, 24, 48].find((h) => hours / h <= (width < 460 ? 4 : 8)) || 96;
    const axis = TOP + PLOT + 10 + LANE * data.lanes.length;
    for (let t = Math.ceil((data.begin_s + data.start_s) / (every * 3600)) * every * 3600 - data.start_s; t <= data.end_s + 1; t += every * 3600)
      parts.push(node('text', { x: x(t), y: axis + 18, 'text-anchor': t >= data.end_s - 60 ? 'end' : 'middle', fill: c.muted }, t >= data.end_s - 60 && clock(t) === '00:00' ? '24:00' : clock(t)));
    const path = (values) => { let d = '', pen = 'M'; values.forEach((v, i) => { if (v === null) { pen = 'M'; return; }
      d += pen + x(data.begin_s + (i + 0.5) * data.step_s).toFixed(1) + ' ' + y(v).toFixed(1); pen = 'L'; }); return d; };
    if (data.limit !== null && data.limit !== undefined) {
      parts.push(node('line', { x1: LEFT, x2: width - RIGHT, y1: y(data.limit), y2: y(data.limit), stroke: c.limit }));
      parts.push(node('text', { x: LEFT + 4, y: y(data.limit) - 5, fill: c.broken_text }, 'limit ' + number(data.limit)));
    }
    for (const bound of bounds) {
      const near = data.limit !== null && data.limit !== undefined && Math.abs(y(bound.value) - y(data.limit)) < 17;
      for (const [from, to] of bound.spans) {
        parts.push(node('rect', { x: x(from), y: y(bound.value) - 0.5, width: Math.max(1, x(to) - x(from)), height: 1, fill: c.limit }));
        parts.push(node('rect', { x: x(from) - 0.5, y: y(bound.value) - 4, width: 1, height: 8, fill: c.limit }), node('rect', { x: x(to) - 0.5, y: y(bound.value) - 4, width: 1, height: 8, fill: c.limit }));
      }
      if (bound.spans.length) bound.mark = node('text', { x: x(bound.spans[0][0]) + 4, y: y(bound.value) + (near ? 13 : -5), fill: c.broken_text,
        stroke: c.surface, 'stroke-width': 3, 'paint-order': 'stroke' }, bound.words);
    }
    if (data.today) parts.push(node('path', { d: path(data.today), fill: 'none', stroke: c.today, 'stroke-width': 1.5, 'stroke-dasharray': '5 3' }));
    if (data.candidate) parts.push(node('path', { d: path(data.candidate), fill: 'none', stroke: c.candidate, 'stroke-width': 2 }));
    for (const bound of bounds) if (bound.mark) parts.push(bound.mark);
    data.lanes.forEach((lane, index) => {
      const middle = TOP + PLOT + 10 + LANE * (index + 0.5);
      parts.push(node('line', { x1: 0, x2: width - RIGHT, y1: middle - LANE / 2, y2: middle - LANE / 2, stroke: c.grid }));
      parts.push(node('text', { x: 0, y: middle + 4, fill: c.text }, lane[0].toUpperCase() + lane.slice(1)));
      let free = LEFT, written = 0;
      const mine = data.marks.filter((mark) => mark.lane === lane);
      mine.forEach((mark, place) => {
        const colour = mark.harm ? c.limit : lane === 'policy' ? c.candidate : c.text, x0 = x(mark.from_s), x1 = x(mark.to_s);
        const group = node('g', {});
        if (x1 > x0) group.append(node('rect', { x: x0, y: middle - 5, width: x1 - x0, height: 10, fill: colour, opacity: 0.28 }));
        group.append(node('rect', { x: x0 - 1, y: middle - 7, width: 2, height: 14, fill: colour }));
        group.append(node('title', {}, `${mark.words}, ${clock(mark.from_s)}` + (mark.to_s > mark.from_s ? `–${clock(mark.to_s)}` : '')));
        parts.push(group);
        const wide = 6.2 * mark.words.length + 12, next = mine[place + 1] ? x(mine[place + 1].from_s) : width - RIGHT;
        if (written < 4 && x1 + wide <= Math.min(next, width - RIGHT)) {
          parts.push(node('text', { x: x1 + 6, y: middle + 4, fill: c.muted }, mark.words)); free = x1 + wide; written += 1;
        } else if (written < 4 && x0 - wide >= free) {
          parts.push(node('text', { x: x0 - 6, y: middle + 4, 'text-anchor': 'end', fill: c.muted }, mark.words)); free = x1 + 4; written += 1;
        } else free = Math.max(free, x1 + 4);
      });
    });
    const now = x(known.t), right = now > width * 0.6, shown = data.candidate || data.today;
    parts.push(node('line', { x1: now, x2: now, y1: TOP - 6, y2: axis, stroke: c.text, 'stroke-width': 1.2 }));
    if (shown) {
      const value = at(shown, known.t);
      if (value !== null && value !== undefined) parts.push(node('circle', { cx: now, cy: y(value), r: 3.2, fill: data.candidate ? c.candidate : c.muted, stroke: c.surface }));
      const words = node('text', { x: now + (right ? -8 : 8), y: 12, 'text-anchor': right ? 'end' : 'start', fill: c.muted });
      const strong = node('tspan', { 'font-weight': 600, fill: data.candidate ? c.candidate : c.text }, number(value));
      words.append(strong, node('tspan', {}, (data.candidate && data.today ? '  today ' + number(at(data.today, known.t)) : '') + ' at ' + clock(known.t)));
      parts.push(words);
    }
    svg.replaceChildren(node('title', {}, data.title), ...parts);
    known.time = (event) => { const box = svg.getBoundingClientRect();
      const share = ((event.clientX - box.left) * width / box.width - LEFT) / (width - LEFT - RIGHT);
      return Math.min(Math.max(data.begin_s + share * (data.end_s - data.begin_s), data.begin_s), data.end_s); };
  };
  const move = (t, settle) => { known.t = Math.round(t / 60) * 60; known.moving = !settle; draw();
    window.dispatchEvent(new CustomEvent('intentwin:t', { detail: { t_s: known.t, from: 'day' } }));
    if (settle) setStateValue('t_s', known.t); };
  svg.onpointerdown = (event) => { svg.setPointerCapture(event.pointerId); move(known.time(event), false); };
  svg.onpointermove = (event) => { if (svg.hasPointerCapture(event.pointerId)) move(known.time(event), false); };
  svg.onpointerup = (event) => move(known.time(event), true);
  const elsewhere = (event) => { if (event.detail.from !== 'day') { known.t = event.detail.t_s; draw(); } };
  if (known.undo) known.undo();
  window.addEventListener('intentwin:t', elsewhere);
  const resized = new ResizeObserver(draw); resized.observe(svg);
  known.undo = () => { window.removeEventListener('intentwin:t', elsewhere); resized.disconnect(); };
  draw();
  return () => { known.undo(); memory.delete(parentElement); };
}
