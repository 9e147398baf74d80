-- open: a new job's record with its first task. `j` = {key, id, stage, fields (flat list), due_at or 0, stream,
-- flow, traceparent, data}. The fields hold flow, tenant, lane and what else never changes.
local TOLD = {spec = true, lane = true, parent = true, until_stage = true, origin = true, replay = true}
-- Add to a lifecycle entry what it tells of a record that will be gone.
local function tell(extra, fields)
  for f = 1, #fields, 2 do
    if TOLD[fields[f]] then
      extra[#extra + 1] = fields[f]
      extra[#extra + 1] = fields[f + 1]
    end
  end
end
local function open_job(j, now, type, extra)
  local job = {key = j.key, id = j.id, f = {flow = j.flow, tenant = j.tenant, revision = 1}, dirty = {}}
  local counter = IS_TAIL[j.stage] and 'tail' or 'work'
  redis.call('HSET', j.key, 'status', 'queued', 'revision', 1, 'next', 2, 'work', counter == 'work' and 1 or 0,
    'tail', counter == 'tail' and 1 or 0, j.stage .. '.open', 1, 'created_at', now, unpack(j.fields))
  job.moved_to = 'queued'
  if j.due_at > now then
    delay(job, '1', j.due_at, {stream = string.sub(j.stream, PREFIX_LENGTH + 1), stage = j.stage, flow = j.flow,
      attempt = 1, traceparent = j.traceparent, data = j.data, first = 1})
  else
    add_entry(job, '1', j.stream, j.flow, 1, j.traceparent, j.data)
  end
  save(job)
  tell(extra, j.fields)
  happened(type, job, extra)
end
