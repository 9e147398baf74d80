-- place: whether what a job's register says of a task is so. Nothing is written.
local function first_word(text)
  return string.match(text, '^(%S+)')
end
-- The stage of an open task, and what is missing: 'no_entry', 'no_timer', 'no_letter' or nil. A dead task has no stage.
local function look_at(prefix, job, task, register)
  local head, rest = string.match(register, '^(%S+) (.*)$')
  if head == 'dead' then
    local there = redis.call('XRANGE', DLQ, first_word(rest), first_word(rest))
    return nil, #there == 0 and 'no_letter' or nil, 'dead'
  elseif head == 'delayed' then
    local member = 'task/' .. job .. '/' .. task
    local there = redis.call('ZSCORE', TIMERS, member) and redis.call('HEXISTS', WAITING, member) == 1
    return string.match(rest, '%S+$'), not there and 'no_timer' or nil, 'delayed'
  end
  local there = redis.call('XRANGE', prefix .. head, first_word(rest), first_word(rest))
  return string.match(head, '^%a+'), #there == 0 and 'no_entry' or nil, 'queued'
end
