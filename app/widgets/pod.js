// One script for the figure of a pod and for its matrix: what the pointer is on is lit in both, a click asks the server.
const EVENT = 'intentwin-pod', NEAR = 14;
const kindOf = { h: 'host', d: 'device', s: 'switch' };
const named = (node) => kindOf[node[0]] + '-' + (1 + Number(node.slice(1)));
const some = (names) => names.slice(0, 6).join(', ') + (names.length > 6 ? ' and ' + (names.length - 6) + ' more' : '');
const counted = (count, noun) => count + ' ' + noun + (count === 1 ? '' : noun === 'switch' ? 'es' : 's');
export default function ({ data: [data], parentElement, setTriggerValue }) {
  const root = parentElement.querySelector('.pod'), place = root.querySelector('.place'), says = root.querySelector('.says');
  if (root.dataset.version !== data.version) {
    const found = new DOMParser().parseFromString(data.svg, 'image/svg+xml').documentElement;
    for (const node of found.querySelectorAll('script, foreignObject, a, image, use')) node.remove();
    place.replaceChildren(document.importNode(found, true));
    root.dataset.version = data.version;
  }
  const svg = place.querySelector('svg'), over = svg.querySelector('.over');
  const nodes = new Map([...svg.querySelectorAll('[data-node]')].map((node) => [node.dataset.node, node]));
  const cables = [...svg.querySelectorAll('[data-a]')];
  const on = (node) => cables.filter((one) => one.dataset.a === node || one.dataset.b === node);
  const ends = (found) => new Set(found.flatMap((one) => [one.dataset.a, one.dataset.b]));
  const reached = (node) => {
    const own = on(node), first = ends(own);
    if (node[0] !== 'h') return { own, peers: [], lit: first.add(node) };
    const behind = [...first].filter((end) => end[0] === 's');
    if (behind.length) {
      const further = cables.filter((one) => one.dataset.a[0] === 's');
      return { own: [...own, ...further], peers: [], lit: new Set([...first, ...ends(further), ...[...nodes.keys()].filter((name) => name[0] === 'h')]) };
    }
    const peers = cables.filter((one) => one.dataset.a !== node && first.has(one.dataset.b));
    return { own, peers, lit: new Set([...first, ...ends(peers)]) };
  };
  const light = (node) => {
    for (const one of svg.querySelectorAll('.own, .peer, .lit, .picked')) one.classList.remove('own', 'peer', 'lit', 'picked');
    over?.replaceChildren();
    if (!node) { says.textContent = ''; return; }
    const { own, peers, lit } = reached(node);
    for (const [group, name] of [[peers, 'peer'], [own, 'own']]) for (const one of group) {
      if (!over) { if (name === 'own') one.classList.add(name); continue; }
      const copy = one.cloneNode(false); copy.removeAttribute('data-a'); copy.removeAttribute('data-b');
      copy.setAttribute('class', name); over.append(copy);
    }
    if (over) for (const name of lit) nodes.get(name)?.classList.add('lit');
    nodes.get(node)?.classList.add('picked');
    const island = nodes.get(node)?.dataset.island, row = Number(node.slice(1));
    for (const word of svg.querySelectorAll('[data-word]')) word.classList.toggle('lit', word.dataset.word === node || word.dataset.word === island);
    if (node[0] === 'h') for (const word of svg.querySelectorAll('[data-rows]')) {
      const [low, high] = word.dataset.rows.split(' ').map(Number); word.classList.toggle('lit', low <= row && row <= high);
    }
    if (!over) return;
    const of = (letter) => [...lit].filter((name) => name[0] === letter && name !== node);
    const hosts = of('h').sort((a, b) => a.slice(1) - b.slice(1));
    says.textContent = node[0] === 'h'
      ? `${named(node)}: ${counted(of('d').length, 'device')}${of('s').length ? ' behind ' + counted(of('s').length, 'switch') : ''}, ${counted(hosts.length, 'host')} in one hop`
      : `${named(node)}: ${hosts.length ? 'shared by ' + some(hosts.map(named)) : counted(of('d').length, 'device')}`;
  };
  const spots = [...nodes].filter(([, node]) => !node.classList.contains('row')).map(([name, node]) => {
    const box = (key) => Number(node.getAttribute(key));
    return node.tagName === 'circle' ? [name, box('cx'), box('cy')] : [name, box('x') + box('width') / 2, box('y') + box('height') / 2];
  });
  const at = (event) => {
    const node = event.target.dataset ?? {};
    if (!over) return node.a ? [node.a, node.a + '/' + node.b] : node.node ? [node.node, node.node] : null;
    const matrix = svg.getScreenCTM().inverse(), point = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
    let best = null, least = NEAR;
    for (const [name, x, y] of spots) { const away = Math.hypot(point.x - x, point.y - y); if (away < least) { least = away; best = name; } }
    return best && [best, best];
  };
  const tell = (node) => window.dispatchEvent(new CustomEvent(EVENT, { detail: { node, group: data.group } }));
  const heard = (event) => { if (event.detail.group === data.group) light(event.detail.node && (nodes.has(event.detail.node) || on(event.detail.node).length) ? event.detail.node : data.host); };
  svg.onpointermove = (event) => { if (event.pointerType === 'touch') return; const found = at(event); svg.style.cursor = found ? 'pointer' : ''; tell(found && found[0]); };
  svg.onpointerleave = () => tell(null);
  svg.onclick = (event) => { const found = at(event); if (found) setTriggerValue('picked', found[1]); };
  window.addEventListener(EVENT, heard);
  light(data.host);
  return () => window.removeEventListener(EVENT, heard);
}
