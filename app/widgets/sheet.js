// The text comes from our own writers, which escape every word; what could act or fetch is taken out all the same.
export default function ({ data: [data], parentElement }) {
  const place = parentElement.querySelector('.sheet');
  const found = new DOMParser().parseFromString(data.html, 'text/html').body;
  for (const node of found.querySelectorAll('script, style, link, iframe, object, embed, img, video, audio, form, a, use, image, foreignObject')) node.remove();
  place.replaceChildren(...[...found.childNodes].map((node) => document.importNode(node, true)));
}
