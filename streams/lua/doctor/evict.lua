#!lua flags=allow-oom
-- evict: move an entry that no job's register names to the dead letters, as a stray, if that is still so.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5 stream  6 job record
-- ARGV   entry id, job, task, stage, reason, error
-- RETURN id in the dead-letter stream | 0 it is in order by now, or gone
local id, job_id, task, stage, reason, error_text = args(6)
local fields = entry_fields(KEYS[5], id)
if not fields.data and not fields.job then return OK end
local job = load_job(KEYS[6], job_id, {'task.' .. task})
if job and is_issued(job, task, KEYS[5], id) then return OK end
take_out(KEYS[5], id)
local dead_id = redis.call('XADD', DLQ, '*', 'job', job_id, 'task', task, 'flow', fields.flow or '', 'stage', stage,
  'stream', string.sub(KEYS[5], PREFIX_LENGTH + 1), 'entry', id, 'attempt', fields.attempt or '1', 'deliveries', '0',
  'worker', 'doctor', 'reason', reason, 'error', error_text, 'traceback', '', 'traceparent', fields.traceparent or '',
  'data', fields.data or '', 'fields', cjson.encode(fields))
happened('dead_lettered', {id = job_id, f = {flow = fields.flow or '', tenant = job and job.f.tenant or '', revision = ''}},
  {'task', task, 'stage', stage, 'worker', 'doctor', 'reason', reason, 'dlq', dead_id})
return dead_id
