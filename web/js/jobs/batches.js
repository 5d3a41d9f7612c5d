// Texts that were sent together, as values.

/** Whether something of it is still to come, and whether there is anything to fetch. */
export function batchStatus({ total, counts }) {
  const ended = (counts.completed ?? 0) + (counts.failed ?? 0) + (counts.cancelled ?? 0);
  const isOpen = ended < total;
  return { isOpen, hasSound: !isOpen && (counts.completed ?? 0) > 0 };
}

/** Where its sound is: as an archive, or joined in a format. What failed is left out, if anything is there at all. */
export function resultAddress({ batch_id: id, total, counts }, format = "") {
  const asked = new URLSearchParams(format ? { as: "joined", format } : { as: "zip" });
  if ((counts.completed ?? 0) < total) asked.set("partial", "true");
  return `/api/batches/${encodeURIComponent(id)}/result?${asked}`;
}

/** Characters of a title. */
const LONGEST_TITLE = 200;

const asTitle = (text) => [...text].slice(0, LONGEST_TITLE).join("");

/**
 * A document as a batch: the wish that the form stands for, with each chapter's title and text.
 * @param {{title: string, text: string}[]} chapters
 */
export function batchOf(title, chapters, request) {
  const { text: _formsOwn, ...shared } = request;
  return { ...shared, title: asTitle(title), items: chapters.map((chapter) => ({ title: asTitle(chapter.title), text: chapter.text })) };
}
