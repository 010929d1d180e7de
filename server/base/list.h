/* Intrusive doubly linked lists, in the kernel's manner.
 *
 * A list is a head; an object is on it through a struct kc_list of its own. Which list an object is on is
 * its state (DESIGN 5). A node that is on no list points at itself, so kc_list_del is idempotent and
 * kc_list_empty(node) answers "is it queued?".
 * Owns nothing, allocates nothing; belongs to whichever thread owns the objects. */
#ifndef KC_LIST_H
#define KC_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct kc_list {
        struct kc_list *next, *prev;
};

#define KC_LIST_INIT(name)                                                                                   \
        {                                                                                                    \
                &(name), &(name)                                                                             \
        }

#define kc_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void kc_list_init(struct kc_list *list)
{
        list->next = list->prev = list;
}

static inline bool kc_list_empty(const struct kc_list *list)
{
        return list->next == list;
}

static inline void kc_list_insert(struct kc_list *node, struct kc_list *prev, struct kc_list *next)
{
        node->prev = prev;
        node->next = next;
        prev->next = node;
        next->prev = node;
}

/* Put `node`, which is on no list, at the head: it is the next one popped. */
static inline void kc_list_push_head(struct kc_list *list, struct kc_list *node)
{
        kc_list_insert(node, list, list->next);
}

static inline void kc_list_push(struct kc_list *list, struct kc_list *node)
{
        kc_list_insert(node, list->prev, list);
}

static inline void kc_list_del(struct kc_list *node)
{
        node->prev->next = node->next;
        node->next->prev = node->prev;
        kc_list_init(node);
}

/* Take `node` off whatever list it is on and put it at the tail of `list`. */
static inline void kc_list_move(struct kc_list *list, struct kc_list *node)
{
        kc_list_del(node);
        kc_list_push(list, node);
}

/* Take the first node off, or NULL. */
static inline struct kc_list *kc_list_pop(struct kc_list *list)
{
        struct kc_list *node = list->next;

        if (node == list)
                return NULL;
        kc_list_del(node);
        return node;
}

/* Append all of `from` to `to`; `from` is left empty. */
static inline void kc_list_splice(struct kc_list *to, struct kc_list *from)
{
        if (kc_list_empty(from))
                return;
        from->next->prev = to->prev;
        to->prev->next = from->next;
        from->prev->next = to;
        to->prev = from->prev;
        kc_list_init(from);
}

#define kc_list_entry(ptr, type, member) kc_container_of(ptr, type, member)
#define kc_list_first(list, type, member) kc_list_entry((list)->next, type, member)
#define kc_list_for_each(pos, list) for (struct kc_list *pos = (list)->next; pos != (list); pos = pos->next)
#define kc_list_for_each_safe(pos, list)                                                                     \
        for (struct kc_list *pos = (list)->next, *pos##_next = pos->next; pos != (list);                     \
             pos = pos##_next, pos##_next = pos->next)

#endif
