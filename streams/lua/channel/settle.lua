#!lua flags=allow-oom
-- settle: acknowledge an entry, or move it to the dead letters, if the consumer holds it under the lease it names.
-- KEYS   1 stream  2 dead-letter stream
-- ARGV   group, consumer, entry id, delivery count, cause ('' acknowledges), error
-- RETURN 1 acknowledged | the id in the dead-letter stream | 0 it holds it no longer
local group, consumer, id, delivery, cause, error_text = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
if not holds(KEYS[1], group, consumer, id, delivery) then return 0 end
if cause == '' then
  redis.call('XACK', KEYS[1], group, id)
  return 1
end
local row = redis.call('XRANGE', KEYS[1], id, id)[1]
local dead = {'stream', KEYS[1], 'group', group, 'entry', id, 'deliveries', delivery, 'consumer', consumer,
  'cause', cause, 'error', error_text, 'fields', row and as_json(row[2]) or ''}
local dead_id = redis.call('XADD', KEYS[2], '*', unpack(dead))
redis.call('XACK', KEYS[1], group, id)
return dead_id
