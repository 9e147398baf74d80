-- lifecycle: one entry a move. `extra` is a flat list of field, value; the tasks that the move opened are `emitted`.
-- Written over and over into one table: a table that grows field by field costs as much as the XADD.
local entry = {'type', '', 'job', '', 'flow', '', 'tenant', '', 'revision', ''}
local function happened(type, job, extra)
  local fields = job.f
  entry[2], entry[4], entry[6], entry[8] = type, job.id, fields.flow, fields.tenant
  entry[10] = job.ended_revision or fields.revision
  local n = 10
  for i = 1, #extra do entry[n + i] = extra[i] end
  n = n + #extra
  if job.opened then
    entry[n + 1], entry[n + 2] = 'emitted', '[' .. table.concat(job.opened, ',') .. ']'
    n = n + 2
  end
  if job.moved_to then
    entry[n + 1], entry[n + 2] = 'status', job.moved_to
    n = n + 2
  end
  for i = 1, job.tells and #job.tells or 0 do
    n = n + 1
    entry[n] = job.tells[i]
  end
  redis.call('XADD', LIFECYCLE, '*', unpack(entry, 1, n))
end
