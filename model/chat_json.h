/* model/chat_json.h - messages and functions as JSON -> a conversation to be rendered.
 * The shapes are those of the OpenAI chat interface and of Hugging Face's chat templates; source:
 * docs/model.md, "Chat". Pure; any thread; allocates. */
#pragma once
#include "model/chat.h"

/* messages, tools: the texts of two JSON arrays; tools.len 0: none. On success ret->messages and
 * ret->tools are filled in, the flags are not touched; they point into `messages` and `tools`,
 * which must stay, and into *ret_memory, to be freed with free() after the last use of ret.
 *
 * A message has a role; content: a text, null or a list of parts; of the assistant also reasoning
 * (or reasoning_content), tool_calls, tool_responses; of a tool also tool_call_id, name. Parts of
 * unknown type are left out, as the reference does; unknown members are not looked at. Arguments
 * may be an object or a string that holds one. A tool's content may not be an object. -EINVAL: JSON
 * that is none or has another shape; err says where. -ENOMEM. Memory: some 60 times the text at
 * most. */
int wd_chat_from_json(struct wd_chat_str messages, struct wd_chat_str tools, struct wd_chat *ret,
                      void **ret_memory, struct wd_err *err);
