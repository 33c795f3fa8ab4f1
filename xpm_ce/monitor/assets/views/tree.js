// Jobs as a tree: each stands once, below the job that it follows most closely of those it depends on.
// Knows jobs, no elements.

/** How many jobs stand one after the other before each: the longest way down its dependencies. */
export function depths(jobs, byId) {
  const found = new Map();
  const depth = (job) => {
    const known = found.get(job.id);
    if (known !== undefined) return known;
    found.set(job.id, 0); // a circle, which a plan does not have, ends here
    let most = -1;
    for (const id of job.depends_on) {
      const before = byId.get(id);
      if (before) most = Math.max(most, depth(before));
    }
    found.set(job.id, most + 1);
    return most + 1;
  };
  jobs.forEach(depth);
  return found;
}

/** The children of each job, and of null those that stand below none. */
export function childrenOf(jobs, byId) {
  const depth = depths(jobs, byId);
  const children = new Map([[null, []]]);
  for (const job of jobs) {
    let parent = null;
    for (const id of job.depends_on) {
      const before = byId.get(id);
      if (!before) continue;
      const deeper = parent === null || depth.get(id) > depth.get(parent);
      const closer = parent !== null && depth.get(id) === depth.get(parent) && common(job, before) > common(job, byId.get(parent));
      if (deeper || closer) parent = id;
    }
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(job);
  }
  return children;
}

const common = (a, b) => Object.entries(b.coordinates).filter(([axis, value]) => a.coordinates[axis] === value).length;

/** A job whose branch holds more than this is open unless it was closed. */
const OPEN_ABOVE = 30;

/**
 * The rows of the tree from the top: {job, level, open, counts, matches}. `toggled` has the first characters of the ids
 * that are not as they would be by themselves; with a filter, what leads to a match is open.
 */
export function treeRows(jobs, byId, { matches, filtered, toggled }) {
  const children = childrenOf(jobs, byId);
  const branches = new Map();
  const branch = (job) => {
    const sum = { jobs: 0, counts: {}, found: matches(job) };
    for (const child of children.get(job.id) ?? []) {
      const below = branch(child);
      sum.jobs += 1 + below.jobs;
      sum.found ||= below.found;
      sum.counts[child.state] = (sum.counts[child.state] ?? 0) + 1;
      for (const [state, count] of Object.entries(below.counts)) sum.counts[state] = (sum.counts[state] ?? 0) + count;
    }
    branches.set(job.id, sum);
    return sum;
  };
  children.get(null).forEach(branch);
  const rows = [];
  const add = (job, level) => {
    const { jobs: below, counts, found } = branches.get(job.id);
    if (!found) return;
    const natural = filtered || below > OPEN_ABOVE || jobs.length <= OPEN_ABOVE;
    const open = below ? natural !== toggled.has(job.id.slice(0, 8)) : null;
    rows.push({ job, level, open, counts, below, matches: !filtered || matches(job) });
    if (open) children.get(job.id).forEach((child) => add(child, level + 1));
  };
  children.get(null).forEach((job) => add(job, 1));
  return rows;
}
