-- open: a new job's record with its first task. `j` = {key, id, stage, fields (flat list), due_at or 0, stream,
-- flow, traceparent, data}. The fields hold flow, tenant, lane and what else never changes.
local TOLD = {spec = true, lane = true, parent = true}
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
  for f = 1, #j.fields, 2 do
    if TOLD[j.fields[f]] then
      extra[#extra + 1] = j.fields[f]
      extra[#extra + 1] = j.fields[f + 1]
    end
  end
  happened(type, job, extra)
end
