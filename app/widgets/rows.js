const NS = 'http://www.w3.org/2000/svg';
const svg = (name, attributes) => { const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value); return node; };
const shapes = { met: ['M2 6.5 4.8 9.2 10 3.2'], 'at risk': ['M6 1.6 11 10.400H1Z', 'M6 4.800V7.400M6 8.400V9.4'],
  broken: ['M2.6 2.6 9.4 9.400M9.4 2.6 2.6 9.4'], waiting: ['M6 1.400a4.6 4.6 0 1 0 .01 0', 'M6 3.400V6L8 7'] };
const mark = (name) => { const node = svg('svg', { viewBox: '0 0 12 12', 'aria-hidden': 'true' });
  for (const d of shapes[name] || shapes.waiting) node.append(svg('path', { d, fill: 'none', stroke: 'currentColor', 'stroke-width': 1.6 })); return node; };
const span = (name, text) => { const node = document.createElement('span'); node.className = name; node.textContent = text; return node; };
const draw = (kind, value, c) => {
  const root = svg('svg', { class: 'figure', viewBox: '0 0 100 14', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const add = (name, attributes) => root.append(svg(name, attributes));
  if (kind === 'bullet') {
    const x = (share) => Math.min(Math.max(share, 0), 1.25) * 80;
    add('rect', { x: 0, y: 5, width: 100, height: 4, rx: 1, fill: c.grid });
    add('rect', { x: 0, y: 5, width: x(value.share), height: 4, rx: 1, fill: value.share > 1.0000001 ? c.broken : c.candidate });
    if (value.today !== null && value.today !== undefined) add('line', { x1: x(value.today), x2: x(value.today), y1: 2, y2: 12, stroke: c.today, 'stroke-width': 2, 'vector-effect': 'non-scaling-stroke' });
    add('line', { x1: 80, x2: 80, y1: 0, y2: 14, stroke: c.limit, 'stroke-width': 1.2, 'vector-effect': 'non-scaling-stroke' });
  } else {
    const points = [0, value.low, value.high, value.bound].filter((v) => v !== null && v !== undefined);
    const low = Math.min(...points), high = Math.max(...points), width = high - low || 1, x = (v) => 6 + 88 * (v - low) / width;
    add('line', { x1: x(0), x2: x(0), y1: 0, y2: 14, stroke: c.today, 'stroke-width': 1.5, 'stroke-dasharray': '3 2', 'vector-effect': 'non-scaling-stroke' });
    if (value.bound !== null && value.bound !== undefined) add('line', { x1: x(value.bound), x2: x(value.bound), y1: 0, y2: 14, stroke: c.limit, 'stroke-width': 1.2, 'vector-effect': 'non-scaling-stroke' });
    add('line', { x1: x(value.low), x2: x(value.high), y1: 7, y2: 7, stroke: c.candidate, 'stroke-width': 2, 'vector-effect': 'non-scaling-stroke' });
    add('line', { x1: x(value.mid), x2: x(value.mid), y1: 7, y2: 7, stroke: c.candidate, 'stroke-width': 7, 'stroke-linecap': 'round', 'vector-effect': 'non-scaling-stroke' });
  }
  return root;
};
const fill = (cell, kind, value, c) => {
  if (value === null || value === undefined || value === '') return;
  if (kind === 'state') {
    const name = value.word || value, node = span('state', '');
    node.style.color = { met: c.good_text, 'at risk': c.risk_text, broken: c.broken_text }[name] || c.muted;
    node.append(mark(name), span('word', value.text || name)); node.title = value.text || name; cell.append(node);
  } else if (kind === 'bullet' || kind === 'interval') cell.append(draw(kind, value, c));
  else if (kind === 'change') cell.append(span(value.sense || '', value.text + (value.sense ? '\u00a0' + value.sense : '')));
  else if (typeof value === 'object') { if (value.lead) cell.append(span('lead', value.lead)); cell.append(value.text); cell.title = value.text; }
  else { cell.textContent = value; cell.title = value; }
};
export default function ({ data: [data], parentElement, setTriggerValue }) {
  const table = parentElement.querySelector('table'), c = data.colours;
  for (const [name, value] of [['line', c.hairline], ['muted', c.muted], ['text', c.text], ['good', c.good_text], ['bad', c.broken_text], ['fill', c.candidate_fill], ['accent', c.candidate]])
    table.style.setProperty('--' + name, value);
  const group = document.createElement('colgroup'), top = document.createElement('tr'), body = document.createElement('tbody'), head = document.createElement('thead');
  for (const column of data.columns) {
    const col = document.createElement('col'); col.style.width = column.width; col.className = column.kind + (column.narrow ? '' : ' wide'); group.append(col);
    const th = document.createElement('th'); th.scope = 'col'; th.textContent = column.label;
    th.className = column.kind + (column.narrow ? '' : ' wide'); th.style.fontWeight = 400; th.style.color = c.muted; top.append(th);
  }
  head.append(top);
  for (const row of data.rows) {
    const tr = document.createElement('tr');
    if (row.id && data.click) {
      tr.className = 'click' + (row.id === data.chosen ? ' chosen' : ''); tr.tabIndex = 0; tr.setAttribute('role', 'button');
      tr.onclick = () => setTriggerValue('picked', row.id);
      tr.onkeydown = (event) => { if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); event.stopPropagation(); setTriggerValue('picked', row.id); } };
    }
    for (const column of data.columns) {
      const td = document.createElement('td'); td.className = (column.kind === 'state' ? '' : column.kind) + (column.narrow ? '' : ' wide');
      fill(td, column.kind, row[column.key], c); tr.append(td);
    }
    body.append(tr);
  }
  table.replaceChildren(group, head, body);
}
