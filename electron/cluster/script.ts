import { posix } from 'node:path'
import { CELL_STOPPED, type ClusterProfile } from '#contract'
import { quote, quoteAll } from './quote'

/** The log of a task in the folder of its submission. */
export function logName(task: number | string, prepare = false): string {
  return `${prepare ? 'passes-' : ''}${task}.log`
}

/**
 * The batch script of a job array, a task a cell. A task runs `retort cell <run>`, whose run folder is the truth;
 * whatever ends a task, the next one of the same run goes on from its last checkpoint.
 *
 * - USR1 comes `warning` seconds before the time limit (`--signal=B:USR1@...`): the cell makes a checkpoint, and the
 *   task is queued again.
 * - TERM comes from `scancel` and before a preemption: the cell makes a checkpoint and the task ends.
 *
 * @param submission whose task it is; its folder, as the cluster sees it, takes the logs
 * @param prepare only makes the runs' teacher passes
 */
export function batchScript(
  profile: ClusterProfile,
  runs: readonly string[],
  submission: string,
  prepare = false,
): string {
  const { modules, environment, command, dataDir } = profile
  const folder = posix.join(dataDir, 'submissions', submission)
  const own = ['--data-dir', dataDir, '--submission', submission, ...(prepare ? ['--prepare'] : [])]
  return `#!/bin/bash
runs=(${quoteAll(runs)})
run=\${runs[$SLURM_ARRAY_TASK_ID]}
task=\${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
exec >>${quote(folder)}/"${logName('$SLURM_ARRAY_TASK_ID', prepare)}" 2>&1 </dev/null
echo "task $task on $(hostname), start $((\${SLURM_RESTART_COUNT:-0} + 1))"
${modules.map((name) => `module load ${quote(name)} || exit 1\n`).join('')}${Object.entries(environment)
    .map(([name, value]) => `export ${name}=${quote(value)}\n`)
    .join('')}
limit=
trap 'limit=1; kill -TERM "$cell" 2>/dev/null' USR1
trap 'limit=; kill -TERM "$cell" 2>/dev/null' TERM
${quoteAll(command)} cell "$run" ${quoteAll(own)} --threads "\${SLURM_CPUS_PER_TASK:-1}" &
cell=$!
# A cell that has ended by now still has its status; a trap interrupts the wait.
while wait "$cell"; status=$?; kill -0 "$cell" 2>/dev/null; do :; done
echo "exit status $status"
# Before the cell listens, TERM ends it at once: 143.
if [ "$limit" ] && { [ "$status" = ${CELL_STOPPED} ] || [ "$status" = 143 ]; }; then
  echo "time limit: queued again"
  scontrol requeue "$task" && exit 0
fi
exit "$status"
`
}
