// Lists of jobs as values: pages joined into one list, newest first, and the filters on it. The server filters too where it
// can; filtering here again costs nothing and keeps a list true whose jobs change while it is shown.

/** @typedef {{status: string, search: string}} Filter an empty string lets everything through */

/** The job's state for people who filter: what waits and what speaks is "open". */
export function passes(job, { status, search }) {
  if (status === "open" ? !["queued", "running"].includes(job.status) : status && job.status !== status) return false;
  const hay = [job.text, job.voice, job.model, job.job_id, job.error].filter(Boolean).join(" ").toLowerCase();
  return search.toLowerCase().split(/\s+/).filter(Boolean).every((word) => hay.includes(word));
}

/** An answer of `/api/jobs`, of servers with pages and of those without. @returns {{jobs: object[], next: string|null}} */
export function pageOf(answer) {
  if (Array.isArray(answer)) return { jobs: answer, next: null };
  return { jobs: answer.jobs ?? [], next: answer.next_cursor ?? null };
}

/**
 * The known list with a fresh page of its newest jobs: what the page has is replaced or added, what is older stays. What
 * the page should hold and does not is gone from the server.
 * @param {object[]} known newest first
 * @param {object[]} fresh newest first
 * @param {boolean} isWhole the page is all there is
 */
export function refreshed(known, fresh, isWhole) {
  if (isWhole || fresh.length === 0) return fresh;
  const oldest = fresh.at(-1).created_at;
  const ids = new Set(fresh.map((job) => job.job_id));
  return [...fresh, ...known.filter((job) => !ids.has(job.job_id) && job.created_at < oldest)];
}

/** The known list with the next, older page behind it. */
export function extended(known, older) {
  const ids = new Set(known.map((job) => job.job_id));
  return [...known, ...older.filter((job) => !ids.has(job.job_id))];
}

/** Whether the server may still change something. */
export function isBusy(jobs) {
  return jobs.some((job) => job.status === "queued" || job.status === "running");
}
